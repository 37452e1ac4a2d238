"""A real Elasticsearch of one node, run from its own jars, with its data under the stack's folder."""

from __future__ import annotations

import json
import os
import shutil
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devstack.elasticsearch_jars import NODE_CLASS, distribution, java
from devstack.ports import HOST, known_ports, port_for
from devstack.processes import Daemon, clean_environ
from querymirror.connections import Address

HEAP = "1g"
_START_TIMEOUT = 120  # seconds; 6 on an idle machine


@dataclass(frozen=True)
class ElasticsearchServer:
    """A node that was started; it runs on when this object goes.

    Args:
        root: the stack's folder.
        port: of HTTP, on 127.0.0.1.
        heap: as for Java's -Xmx.
    """

    root: Path
    port: int
    heap: str = HEAP
    host: str = HOST

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"http://{self.host}:{self.port}"

    @property
    def daemon(self) -> Daemon:
        """The process."""
        return Daemon("elasticsearch", self.root / "elasticsearch")

    @property
    def log(self) -> Path:
        """The node's log."""
        return self.daemon.log

    def address(self, conn_id: str) -> Address:
        """Returns the same as a pipeline's address."""
        return Address(conn_id=conn_id, conn_type="elasticsearch", host=self.host, port=self.port, schema="http")

    def is_running(self) -> bool:
        """Returns whether the process lives."""
        return self.daemon.is_running()

    def is_healthy(self) -> bool:
        """Returns whether the cluster answers with yellow or green."""
        return self.health().get("status") in {"yellow", "green"}

    def health(self) -> dict[str, Any]:
        """Returns the cluster's health; empty where nothing answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/_cluster/health", timeout=5) as reply:
                return dict(json.load(reply))
        except (urllib.error.URLError, TimeoutError, OSError, ValueError):
            return {}

    def stop(self) -> None:
        """Ends the node in order."""
        self.daemon.stop()

    def kill(self) -> None:
        """Ends the node at once (SIGKILL), as a crash would."""
        self.daemon.kill()

    def start(self) -> None:
        """Starts the node again on the same port and data, and waits for its health.

        Raises:
            DevstackError: it does not come up.
        """
        if not self.is_running():
            _launch(self)
        self.daemon.wait(self.is_healthy, timeout=_START_TIMEOUT)

    def restart(self) -> None:
        """Stops and starts the node."""
        self.stop()
        self.start()


def start(root: Path, *, heap: str | None = None) -> ElasticsearchServer:
    """Starts the node of a stack, or returns the one that runs; the first start of all downloads 44 MB.

    Args:
        root: the stack's folder, made if needed.
        heap: as for Java's -Xmx; None = QUERYMIRROR_ES_HEAP, else 1g.

    Raises:
        DevstackError: it does not come up.
    """
    found = running(root)
    if found is not None:
        found.start()
        return found
    root = root.resolve()
    server = ElasticsearchServer(root, port_for(root, "elasticsearch"), heap or os.environ.get("QUERYMIRROR_ES_HEAP") or HEAP)
    server.start()
    return server


def running(root: Path) -> ElasticsearchServer | None:
    """Returns the node of a stack if it runs."""
    root = root.resolve()
    if not Daemon("elasticsearch", root / "elasticsearch").is_running():
        return None
    return ElasticsearchServer(root, known_ports(root)["elasticsearch"])


def _launch(server: ElasticsearchServer) -> None:
    folder = server.daemon.folder
    made = distribution(folder / "build.log")
    home = folder / "home"
    for name in ("config", "plugins", "data", "logs", "tmp"):
        (home / name).mkdir(parents=True, exist_ok=True)
    shutil.rmtree(home / "modules", ignore_errors=True)
    shutil.copytree(made / "modules", home / "modules")
    command = [
        str(java()),
        f"-Xms{server.heap}",
        f"-Xmx{server.heap}",
        "-XX:+UseSerialGC",
        "--enable-native-access=ALL-UNNAMED",
        f"-Djava.io.tmpdir={home / 'tmp'}",
        # Where native code is looked for: these jars bring none, and without the setting each question for it logs an error.
        f"-Des.nativelibs.path={home / 'lib'}",
        # Its hook would end the log before the node's own hook has said how closing went.
        "-Dlog4j.shutdownHookEnabled=false",
        f"-Dlog4j2.configurationFile={made / 'log4j2.properties'}",
        "-cp",
        f"{made / 'lib'}/*",
        NODE_CLASS,
        str(home),
        str(server.port),
        str(port_for(server.root, "elasticsearch-transport")),
    ]
    server.daemon.start(command, clean_environ(), cwd=home)
