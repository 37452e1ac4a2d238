"""Runs a peer's program, or a part of this one in a process forked for it, to its end or to its time limit."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import get_context
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


def forked(work: Callable[[], object], *, timeout: float) -> Finished:
    """Calls a function in a process forked from this one, which has imported what it needs.

    Args:
        work: what is called.
        timeout: seconds, after which the process is killed.

    Raises:
        CommandError: it failed, its traceback is on standard error; or it took longer.
    """
    before, begun = _cpu_of_children(), time.monotonic()
    process = get_context("fork").Process(target=work)
    process.start()
    process.join(timeout)
    seconds = time.monotonic() - begun
    if process.exitcode is None:
        process.kill()
        process.join()
        message = f"not done after {timeout:.0f} s"
        raise CommandError(message)
    if process.exitcode:
        message = f"the forked process ended with status {process.exitcode}"
        raise CommandError(message)
    return Finished(begun, seconds, _cpu_of_children() - before)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def last_words(output: str) -> str:
    """Returns the end of what a program printed, on one line, without control characters."""
    lines = [" ".join("".join(c for c in line if c.isprintable()).split()) for line in output.splitlines()]
    text = " / ".join(line for line in lines if line)
    return text if len(text) <= _SAID else f"... {text[-_SAID:]}"
