"""Runs a program of pgsync: `python pgsync_run.py VERSION PROGRAM ARGUMENTS`.

The embedded Elasticsearch has no `GET /`, which pgsync's client asks first; its answer is given here. Nothing else differs.
"""

from __future__ import annotations

import runpy
import sys
from typing import Any

import elasticsearch


def main() -> None:
    """Answers for the server, then is the program."""
    version, *command = sys.argv[1:]

    def verified(self: Any, headers: object = None, timeout: object = None) -> None:  # noqa: ARG001 - the client's own signature
        self._verified_elasticsearch = True

    def info(self: object, **_: object) -> dict[str, Any]:  # noqa: ARG001 - as above
        return {"version": {"number": version}}

    client: Any = elasticsearch  # of pgsync's own version, 7
    client.Transport._do_verify_elasticsearch = verified  # noqa: SLF001 - it has no other switch
    client.Elasticsearch.info = info
    sys.argv = command
    runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    main()
