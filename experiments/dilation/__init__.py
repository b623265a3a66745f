"""What striding, dilation and plain convolutions bring to a segmentation net."""
