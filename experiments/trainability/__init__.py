"""Depths to which random nets can be trained, and learning rates that they bear."""
