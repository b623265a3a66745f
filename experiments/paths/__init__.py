"""Through how many blocks the gradient of a residual net comes, and which it can do without."""
