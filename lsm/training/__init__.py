"""Training and testing through BasicSR: the only package that imports basicsr, and only by way of `compat`."""
