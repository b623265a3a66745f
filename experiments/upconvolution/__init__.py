"""What an upconvolution is, when it leaves checkerboards, and whether training removes them."""
