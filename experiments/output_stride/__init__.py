"""Benefits and costs of a finer output stride, and of an FCN's skips."""
