"""Long-lived processes: started in a session of their own, found again by another process, stopped with all they started."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from devstack.errors import DevstackError

# Set in every process of a stack and inherited by what it starts: orphans are found by it.
MARK = "QUERYMIRROR_STACK"

# Kept because a Popen object warns when it goes before its process, which here is meant to happen.
_started: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Daemon:
    """A process that outlives the one that started it.

    Args:
        name: what users call it.
        folder: keeps `<name>.pid` and `<name>.log`.
    """

    name: str
    folder: Path

    @property
    def log(self) -> Path:
        """The file that takes stdout and stderr."""
        return self.folder / f"{self.name}.log"

    @property
    def pid_file(self) -> Path:
        """Holds the process id and its start time: a process id alone may belong to another program by now."""
        return self.folder / f"{self.name}.pid"

    def process(self) -> psutil.Process | None:
        """Returns the running process, or None."""
        if not self.pid_file.is_file():
            return None
        kept = json.loads(self.pid_file.read_text())
        try:
            found = psutil.Process(kept["pid"])
            same = abs(found.create_time() - kept["created"]) < 1 and found.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return found if same else None

    def is_running(self) -> bool:
        """Returns whether the process lives."""
        return self.process() is not None

    def start(self, command: Sequence[str | os.PathLike[str]], environ: Mapping[str, str], *, cwd: Path | None = None) -> None:
        """Starts the command in a new session; its log starts empty."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            child = subprocess.Popen(
                command, env=dict(environ), cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        _started.append(child)
        self.pid_file.write_text(json.dumps({"pid": child.pid, "created": psutil.Process(child.pid).create_time()}))

    def wait(self, ready: Callable[[], bool], *, timeout: float, poll: float = 0.1) -> None:
        """Waits until `ready()`.

        Args:
            ready: asked again and again; must not raise.
            timeout: seconds.
            poll: seconds between two questions.

        Raises:
            DevstackError: the process ended or the time is over.
        """
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.is_running():
                raise DevstackError(self.name, "ended while it started.", log=self.log)
            if time.monotonic() > deadline:
                raise DevstackError(self.name, f"is not ready after {timeout:.0f} seconds.", log=self.log)
            time.sleep(poll)

    def stop(self, *, grace: float = 20.0) -> bool:
        """Asks the process to end, then kills what is left of its session.

        Args:
            grace: seconds that it has to end by itself.

        Returns:
            whether it ran.
        """
        main = self.process()
        if main is None:
            self.pid_file.unlink(missing_ok=True)
            return False
        family = session_of(main)
        main.terminate()
        psutil.wait_procs([main], timeout=grace)
        kill_all([*family, *session_members(main.pid)])
        self.pid_file.unlink(missing_ok=True)
        return True

    def kill(self, *, family: bool = True) -> None:
        """Ends the process at once (SIGKILL), as a crash would.

        Args:
            family: also all processes of its session; without, they stay behind as orphans.
        """
        main = self.process()
        if main is not None:
            kill_all(session_of(main) if family else [main])
        self.pid_file.unlink(missing_ok=True)


def session_of(main: psutil.Process) -> list[psutil.Process]:
    """Returns the process, its descendants and all others of its session."""
    try:
        below = main.children(recursive=True)
    except psutil.NoSuchProcess:
        below = []
    return list({main, *below, *session_members(main.pid)})


def session_members(session: int) -> list[psutil.Process]:
    """Returns the living processes of a session, its leader may be gone."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session:
                found.append(process)
        except (ProcessLookupError, PermissionError):
            continue
    return found


def marked(root: Path, part: str) -> list[psutil.Process]:
    """Returns the processes that belong to a part of a stack, also those whose parent is gone."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == _mark(root, part):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def kill_all(processes: Sequence[psutil.Process], *, timeout: float = 10.0) -> None:
    """Kills the processes (SIGKILL) and waits until they are gone; `timeout` in seconds."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(processes, timeout=timeout)
    left = [str(process.pid) for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    if left:
        raise DevstackError("stack", f"processes {', '.join(left)} survived being killed.")


def clean_environ(root: Path, part: str) -> dict[str, str]:
    """Returns this process's environment, marked as a part of the stack, without what would slow down or mislead it."""
    dropped = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "JAVA_TOOL_OPTIONS", "JAVA_HOME", "CLASSPATH"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped and not name.startswith("AIRFLOW_")}
    return kept | {MARK: _mark(root, part)}


def _mark(root: Path, part: str) -> str:
    return f"{root.resolve()}#{part}"
