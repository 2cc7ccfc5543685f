"""The evaluator: compares what a model's live version saw with what it was trained on, on a schedule."""
