"""The command line: `python -m querymirror`."""
