"""The `jaxseg` command: it assembles data, nets, training and plots into tools for one's images."""
