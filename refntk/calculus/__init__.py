"""What u and its derivatives are: jets as data, activations, networks, and how a jet runs through them."""
