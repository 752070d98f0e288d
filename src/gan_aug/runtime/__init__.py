"""What every command shares: one-line errors, run folders, resuming, seeds, files."""
