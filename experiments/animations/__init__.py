"""Animated figures for slides: convolution arithmetic, and a gradient through depth."""
