"""Where images come from, splits, draws, the cache, synthetic sets and the DataModule."""
