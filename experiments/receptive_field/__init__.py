"""Receptive fields of nets, exactly, and how much of them is looked at."""
