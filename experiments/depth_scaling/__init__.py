"""Study: the depth to which a segmentation net can be trained, plain and residual."""
