"""How a pair of networks is trained, one file a procedure."""
