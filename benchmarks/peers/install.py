"""A virtual environment for each peer, because their dependencies clash with each other's and with ours."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from benchmarks.peers.running import last_words
from benchmarks.processes import CommandError

REQUIREMENTS = Path(__file__).with_name("requirements")
_TIMEOUT = 600  # seconds; the largest is 200 MB
_MARK = "installed.txt"


def environment(name: str, root: Path) -> Path:
    """Returns the folder of a peer's virtual environment, made where it is missing or its requirements changed.

    Args:
        name: of its requirement file.
        root: of all virtual environments.

    Raises:
        CommandError: it can't be installed here.
    """
    wanted = (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8")
    folder = root / name
    mark = folder / _MARK
    if not mark.is_file() or mark.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        _run(_uv(), "venv", "--quiet", "--python", sys.executable, str(folder))
        _run(_uv(), "pip", "install", "--quiet", "--compile-bytecode", "--python", str(folder / "bin" / "python"), "-r", str(REQUIREMENTS / f"{name}.txt"))
        mark.write_text(wanted, encoding="utf-8")
    return folder


def packaged(folder: Path, pattern: str) -> Path:
    """Returns a file that one of the installed packages has inside.

    Raises:
        CommandError: there is none.
    """
    for path in sorted(folder.glob(f"lib/python*/site-packages/{pattern}")):
        return path
    message = f"{pattern} is not in {folder.name}'s packages"
    raise CommandError(message)


@cache
def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.is_file() else shutil.which("uv")
    if found is None:
        message = "uv is not installed; make setup installs it"
        raise CommandError(message)
    return found


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_TIMEOUT)
    except subprocess.TimeoutExpired:
        message = f"{' '.join(command[1:3])} not done after {_TIMEOUT} s"
        raise CommandError(message) from None
    if done.returncode:
        message = f"{' '.join(command[1:3])}: {last_words(done.stderr)}"
        raise CommandError(message)
