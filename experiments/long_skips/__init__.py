"""Study: long and short skips in a deep segmentation net, alone and together."""
