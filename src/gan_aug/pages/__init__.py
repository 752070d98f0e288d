"""Self-contained pages and the figures that several of them have."""
