"""Data sets that are prepared once and read many times."""
