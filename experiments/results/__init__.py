"""The README's numbers: measured by commands, kept as JSON, written into the README from there."""
