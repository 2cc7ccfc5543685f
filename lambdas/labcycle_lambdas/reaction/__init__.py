"""The steps of the retraining state machine, one function: begin, register, compare, promote, review, reject, fail."""
