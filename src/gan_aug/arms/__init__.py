"""What an arm of a study can do: each behaviour is one class in one file."""
