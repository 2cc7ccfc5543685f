"""Batch scoring: the objects that lie in a model's folder, scored with the version that is live when the run starts."""
