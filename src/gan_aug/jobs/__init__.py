"""The jobs of a multirun: written down, run at the same time, followed from files."""
