"""Long-lived processes: started in a session of their own, found again by another process, stopped with all they started."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from devstack.errors import DevstackError

# Kept because a Popen object warns when it goes before its process, which here is meant to happen.
_started: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Daemon:
    """A process that outlives the one that started it.

    Args:
        name: what users call it.
        folder: keeps `<name>.pid`, `<name>.log` and `<name>.sessions`.
    """

    name: str
    folder: Path

    @property
    def log(self) -> Path:
        """The file that takes stdout and stderr."""
        return self.folder / f"{self.name}.log"

    def process(self) -> psutil.Process | None:
        """Returns the running process, or None."""
        kept = self._sessions()
        return _leader(kept[-1]) if kept else None

    def is_running(self) -> bool:
        """Returns whether the process lives."""
        return self.process() is not None

    def family(self) -> list[psutil.Process]:
        """Returns all that was started by this process or by one of the same name before it and still lives."""
        main = self.process()
        below = [] if main is None else [main, *_children(main)]
        return list({*below, *session_members(self._sessions())})

    def start(self, command: Sequence[str | os.PathLike[str]], environ: Mapping[str, str], *, cwd: Path | None = None) -> None:
        """Starts the command in a new session; its log starts empty."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            child = subprocess.Popen(
                command, env=dict(environ), cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        _started.append(child)
        # The sessions before it may still hold orphans: a worker goes on after its scheduler was killed.
        alive = [kept for kept in self._sessions() if session_members([kept])]
        self._keep([*alive, (child.pid, psutil.Process(child.pid).create_time())])

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
        """Asks the process to end, then kills what is left of its family.

        Args:
            grace: seconds that it has to end by itself.

        Returns:
            whether anything ran.
        """
        family, main = self.family(), self.process()
        if main is not None:
            main.terminate()
            wait_gone([main], timeout=grace)
        kill_all({*family, *self.family()})
        self._keep([])
        return bool(family)

    def kill(self, *, family: bool = True) -> None:
        """Ends the process at once (SIGKILL), as a crash would.

        Args:
            family: also all it started; without, they stay behind as orphans until `stop`.
        """
        main = self.process()
        if family:
            kill_all(self.family())
            self._keep([])
        elif main is not None:
            kill_all([main])

    def _sessions(self) -> list[tuple[int, float]]:
        path = self.folder / f"{self.name}.sessions"
        return [(int(pid), float(created)) for pid, created in json.loads(path.read_text())] if path.is_file() else []

    def _keep(self, sessions: Sequence[tuple[int, float]]) -> None:
        path = self.folder / f"{self.name}.sessions"
        if sessions:
            path.write_text(json.dumps(sessions))
        else:
            path.unlink(missing_ok=True)


def session_members(sessions: Iterable[tuple[int, float]]) -> list[psutil.Process]:
    """Returns the living processes of some sessions, whose leaders may be gone.

    Args:
        sessions: process id and start time of each leader; a process id alone may be another program's by now.
    """
    ids = {session[0] for session in sessions if not psutil.pid_exists(session[0]) or _same(session) is not None}
    if not ids:
        return []
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) in ids and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            continue
    return found


def kill_all(processes: Iterable[psutil.Process], *, timeout: float = 10.0) -> None:
    """Kills the processes (SIGKILL) and waits until they are gone; `timeout` in seconds.

    Raises:
        DevstackError: some are still there.
    """
    processes = list(processes)
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    left = wait_gone(processes, timeout=timeout)
    if left:
        raise DevstackError("stack", f"processes {', '.join(str(process.pid) for process in left)} survived being killed.")


def wait_gone(processes: Iterable[psutil.Process], *, timeout: float) -> list[psutil.Process]:
    """Waits until the processes ended; returns those that did not within `timeout` seconds.

    One that waits for its parent to read its status counts as ended: parents may be slow at that.
    """
    deadline = time.monotonic() + timeout
    left = [process for process in processes if _is_alive(process)]
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [process for process in left if _is_alive(process)]
    _started[:] = [child for child in _started if child.poll() is None]
    return left


def clean_environ() -> dict[str, str]:
    """Returns this process's environment without what would slow down or mislead the parts of a stack."""
    dropped = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "JAVA_TOOL_OPTIONS", "JAVA_HOME", "CLASSPATH"}
    return {name: value for name, value in os.environ.items() if name not in dropped and not name.startswith("AIRFLOW_")}


def _leader(session: tuple[int, float]) -> psutil.Process | None:
    found = _same(session)
    return found if found is not None and _is_alive(found) else None


def _same(session: tuple[int, float]) -> psutil.Process | None:
    pid, created = session
    try:
        found = psutil.Process(pid)
        return found if abs(found.create_time() - created) < 1 else None
    except psutil.NoSuchProcess:
        return None


def _children(main: psutil.Process) -> list[psutil.Process]:
    try:
        return list(main.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
