"""Gradients on their way back through deep random nets, with shortcuts and without."""
