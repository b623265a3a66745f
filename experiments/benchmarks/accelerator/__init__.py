"""Measurements of an accelerator, in parts that can be resumed."""
