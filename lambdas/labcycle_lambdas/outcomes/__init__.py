"""What became of predictions: ground truth and value that come back by the predictions' ids, joined, summed up and judged."""
