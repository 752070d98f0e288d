"""The jobs of a multirun: how they stand."""
