"""The evaluator: judges what is watched of a model (drift, performance, business value, freshness) on a schedule."""
