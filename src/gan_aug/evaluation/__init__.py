"""Synthetic images measured beside real ones."""
