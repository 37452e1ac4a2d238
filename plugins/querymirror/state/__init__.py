"""What a pipeline remembers between runs, and where."""
