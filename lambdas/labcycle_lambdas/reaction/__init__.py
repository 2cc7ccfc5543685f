"""The steps of the retraining state machine, one function: begin, register, compare, how it concludes, or fail."""
