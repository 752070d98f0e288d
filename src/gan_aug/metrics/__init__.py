"""What is measured, one file a kind."""
