"""Studies, a folder each, and benchmarks: run as `python -m experiments.NAME`."""
