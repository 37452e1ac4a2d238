"""Runs programs to their end and says how long they took and what they used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

Command = Sequence[str]
_TIMED = Path(__file__).with_name("timed.py")


class CommandError(Exception):
    """A program that was to be measured failed, with what it said."""


@dataclass(frozen=True)
class Finished:
    """A program, or several, that ended well.

    Attributes:
        begun: by `time.monotonic()`.
        seconds: from the start of the first to the end of the last.
        cpu: seconds, of all of them.
        peak_mb: of the largest.
        output: standard output; empty for pipes.
    """

    begun: float
    seconds: float
    cpu: float
    peak_mb: float = 0.0
    output: str = ""


def run(command: Command, environ: Mapping[str, str] | None = None) -> Finished:
    """Runs one program.

    Raises:
        CommandError: it failed.
    """
    with tempfile.NamedTemporaryFile("r", prefix="qm-bench-") as report:
        # -S and -I: the process between stays as small as Python can be.
        wrapper = [sys.executable, "-I", "-S", str(_TIMED), report.name]
        done = subprocess.run([*wrapper, *command], check=False, capture_output=True, text=True, env=environ)
        if done.returncode:
            raise _failed(command, done.returncode, done.stderr or done.stdout)
        used = json.load(report)
    return Finished(used["begun"], used["seconds"], used["cpu"], used["peak_kb"] / 1024, done.stdout)


def pipes(*pairs: tuple[Command, Command]) -> Finished:
    """Runs pairs of programs at the same time, the first of each piped into the second.

    Raises:
        CommandError: one of them failed.
    """
    with tempfile.TemporaryFile("w+") as said:
        begun = time.monotonic()
        running: list[tuple[Command, subprocess.Popen[bytes]]] = []
        for producer, consumer in pairs:
            first = _start(producer, said, stdout=subprocess.PIPE)
            second = _start(consumer, said, stdin=first.stdout)
            if first.stdout is not None:
                first.stdout.close()  # the second one's copy alone keeps the pipe open
            running += [(producer, first), (consumer, second)]
        return _ended(running, begun, said)


def together(*commands: Command) -> Finished:
    """Runs programs at the same time; what they print goes nowhere.

    Raises:
        CommandError: one of them failed.
    """
    with tempfile.TemporaryFile("w+") as said:
        begun = time.monotonic()
        return _ended([(command, _start(command, said)) for command in commands], begun, said)


def _start(command: Command, said: IO[str], *, stdin: IO[bytes] | int | None = subprocess.DEVNULL, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    return subprocess.Popen(list(command), stdin=stdin, stdout=stdout, stderr=said)


def _ended(running: Sequence[tuple[Command, subprocess.Popen[bytes]]], begun: float, said: IO[str]) -> Finished:
    cpu, failed = 0.0, None
    for command, process in running:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu += used.ru_utime + used.ru_stime
        if process.returncode:
            failed = (command, process.returncode)
    seconds = time.monotonic() - begun
    if failed:
        said.seek(0)
        raise _failed(*failed, said.read())
    return Finished(begun, seconds, cpu)


def _failed(command: Command, status: int, said: str) -> CommandError:
    # Arguments may hold an address with its password.
    return CommandError(f"{Path(command[0]).name} failed with status {status}: {' '.join(said.split())[-2000:]}")
