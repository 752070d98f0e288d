"""How a classifier learns from unlabelled images: one way a file."""
