"""What runs in a virtual environment of a peer; nothing of it is imported here."""
