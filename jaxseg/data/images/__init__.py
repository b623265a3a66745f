"""Image files of every kind, read as they are stored, and what their numbers mean."""
