"""Colors that figures share."""

NEUTRAL = "#555555"
"""Gray, for what has no color of its own."""
CYCLE = ("#c1272d", "#f08c2e", "#8c6bb1", "#0b5fa5", "#3aa6a0")
"""Colors for lines, in the order of use."""
