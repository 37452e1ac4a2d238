"""`python -m querymirror`."""

from __future__ import annotations

import gc

# Imports make many objects and no garbage: looking for it meanwhile, and again at the exit, takes a sixth of a quiet run's time.
# `main` switches the collector on again when all is imported.
gc.disable()

from querymirror.cli.app import main  # noqa: E402 - after the collector is off

if __name__ == "__main__":
    main()
