"""Data sets: one file each, a class with `load`."""
