"""Study: striding, dilation and plain convolutions in a segmentation net."""
