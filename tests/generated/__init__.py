"""Generated team and target files: the whole model, with boundary values; and each way to break one."""
