"""Benchmarks: what jaxseg costs beside plain XLA and PyTorch, and how exact it is."""
