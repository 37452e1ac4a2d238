"""What the routes mean; no HTTP types."""
