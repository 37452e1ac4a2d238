"""Runs a peer's program to its end, or to its time limit, with all that it started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import processes
from benchmarks.processes import CommandError, Finished

_TIMED = Path(processes.__file__).with_name("timed.py")
_SAID = 300  # characters of an error that are kept


def run(command: Sequence[str], *, cwd: Path, environ: Mapping[str, str], timeout: float) -> Finished:
    """Runs a program; `environ` is all it gets of one, and its home is `cwd`.

    Args:
        command: the program with its arguments.
        cwd: made if needed.
        environ: added to PATH and the certificates of this process.
        timeout: seconds, after which the program and its children are killed.

    Raises:
        CommandError: it failed, or took longer.
    """
    cwd.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "SSL_CERT_FILE", "TMPDIR"}}
    with tempfile.NamedTemporaryFile("r", prefix="qm-bench-") as report, tempfile.TemporaryFile("w+") as said:
        timed = [sys.executable, "-I", "-S", str(_TIMED), report.name, *command]
        given = {**kept, "HOME": str(cwd), **environ}
        # A session of its own, so that a signal reaches what the program started too.
        process = subprocess.Popen(timed, cwd=cwd, env=given, stdin=subprocess.DEVNULL, stdout=said, stderr=said, text=True, start_new_session=True)
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            message = f"not done after {timeout:.0f} s"
            raise CommandError(message) from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(0)
        output = said.read()
        if status:
            message = f"{Path(command[0]).name} failed with status {status}: {last_words(output)}"
            raise CommandError(message)
        used = json.load(report)
    return Finished(used["begun"], used["seconds"], used["cpu"], used["peak_kb"] / 1024, output)


def last_words(output: str) -> str:
    """Returns the end of what a program printed, on one line, without control characters."""
    lines = [" ".join("".join(c for c in line if c.isprintable()).split()) for line in output.splitlines()]
    text = " / ".join(line for line in lines if line)
    return text if len(text) <= _SAID else f"... {text[-_SAID:]}"
