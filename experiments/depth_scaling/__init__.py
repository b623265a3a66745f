"""How deep a segmentation net can be trained, plain and residual."""
