"""Runs a command and writes what it used: `python timed.py REPORT COMMAND...`; needs nothing but the standard library.

It stands between because a child's peak memory begins with that of the process that started it, and this one is small.
"""

from __future__ import annotations

import json
import os
import sys
import time


def main() -> int:
    """Returns the command's exit status."""
    report, *command = sys.argv[1:]
    begun = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, used = os.wait4(pid, 0)
    ended = time.monotonic()
    with open(report, "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib would double the memory of this process
        json.dump({"begun": begun, "seconds": ended - begun, "cpu": used.ru_utime + used.ru_stime, "peak_kb": used.ru_maxrss}, file)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
