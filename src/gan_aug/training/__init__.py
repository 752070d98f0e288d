"""One fit: trainer, callbacks, what its run folder promises."""
