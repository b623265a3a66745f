"""jaxseg: a laboratory for dense prediction in JAX."""
