"""Colors that figures share."""

NEUTRAL = "#555555"
"""Gray, for what has no color of its own."""
CYCLE = ("#b21f26", "#f28814", "#9778dd", "#155086", "#56a698")
"""Colors for lines, in the order of use; the color-blind can tell any two apart."""
