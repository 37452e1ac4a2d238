"""Free TCP ports, chosen once and kept, so that a stack comes back where it was."""

from __future__ import annotations

import json
import socket
from pathlib import Path

HOST = "127.0.0.1"


def port_for(root: Path, name: str) -> int:
    """Returns the port kept for `name`, or a free one if none is kept or another program holds it.

    Ask only when the part does not run: the port of a running part counts as taken.

    Args:
        root: the stack's folder; the ports stand in its `ports.json`.
        name: what the port is for.
    """
    kept = known_ports(root)
    port = kept.get(name)
    if port is None or not is_free(port):
        port = _free_port(exclude=set(kept.values()))
        kept[name] = port
        root.mkdir(parents=True, exist_ok=True)
        path = root / "ports.json"
        fresh = path.with_suffix(".tmp")
        fresh.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")
        fresh.replace(path)
    return port


def known_ports(root: Path) -> dict[str, int]:
    """Returns the ports kept so far, by name."""
    path = root / "ports.json"
    if not path.is_file():
        return {}
    return {str(name): int(port) for name, port in json.loads(path.read_text()).items()}


def is_free(port: int) -> bool:
    """Returns whether a server could listen on the port now."""
    with socket.socket() as sock:
        # Servers set it too: a port whose old connections linger is free for them.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((HOST, port))
        except OSError:
            return False
    return True


def accepts(port: int, *, timeout: float = 1.0) -> bool:
    """Returns whether something answers on the port."""
    try:
        with socket.create_connection((HOST, port), timeout=timeout):
            return True
    except OSError:
        return False


def _free_port(exclude: set[int]) -> int:
    while True:
        with socket.socket() as sock:
            sock.bind((HOST, 0))
            port = int(sock.getsockname()[1])
        if port not in exclude:
            return port
