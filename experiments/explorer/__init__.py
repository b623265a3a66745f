"""The explorer: one HTML file to play with convolutions, receptive fields and gradients."""
