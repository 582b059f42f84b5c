"""What R, J and K are: residual rows, their linearization, and the neural tangent kernel from layer Gram products."""
