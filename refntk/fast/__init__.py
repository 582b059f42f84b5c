"""The hot primitives once more, in numba: the same names, the same signatures."""
