"""Mask files, their values, and the classes that the values stand for."""
