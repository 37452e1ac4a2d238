"""`python -m querymirror`."""

from __future__ import annotations

from querymirror.cli.app import main

if __name__ == "__main__":
    main()
