"""What long and short skips do for a deep segmentation net, alone and together."""
