"""A real Airflow with all its processes, on the metadata database of the embedded PostgreSQL."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil
import psycopg

from devstack import elasticsearch, postgres
from devstack.airflow_settings import settings
from devstack.errors import DevstackError
from devstack.ports import known_ports, port_for
from devstack.postgres import PostgresServer
from devstack.processes import Daemon, clean_environ

CHECKOUT = Path(__file__).resolve().parents[1]
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
# As the health endpoint names them.
_HEALTH = ("metadatabase", "scheduler", "dag-processor", "triggerer")
_PORTS = {"api": "airflow", "worker-log": "airflow-worker-log", "trigger-log": "airflow-trigger-log"}
_START_TIMEOUT = 180  # seconds; 15 on an idle machine
_STOP_GRACE = 15.0  # seconds for a component to end by itself


@dataclass(frozen=True)
class AirflowServer:
    """An Airflow that was started; it runs on when this object goes.

    Args:
        root: the stack's folder.
        port: of the API and the UI, on 127.0.0.1.
        environ: what its processes were told, secrets included.
    """

    root: Path
    port: int
    environ: Mapping[str, str] = field(repr=False)

    @property
    def url(self) -> str:
        """The address of the UI and the API."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def include(self) -> Path:
        """The include folder its DAGs are made from."""
        return Path(self.environ["QUERYMIRROR_INCLUDE"])

    def daemon(self, component: str) -> Daemon:
        """Returns one of its processes, by a name of `COMPONENTS`."""
        return Daemon(component, self.root / "airflow")

    def is_running(self) -> bool:
        """Returns whether all components live."""
        return all(self.daemon(name).is_running() for name in COMPONENTS)

    def health(self, *, since: Mapping[str, datetime] | None = None) -> dict[str, str]:
        """Returns the status of each component as its heartbeats tell; empty where the API doesn't answer.

        Args:
            since: by component; a heartbeat before that moment came from a process that is gone and says `stale`.
        """
        try:
            with urllib.request.urlopen(f"{self.url}/api/v2/monitor/health", timeout=10) as reply:
                found: dict[str, dict[str, str | None]] = json.load(reply)
        except (urllib.error.URLError, TimeoutError, OSError, ValueError):
            return {}
        status = {name.replace("_", "-"): str(part["status"]) for name, part in found.items() if part}
        for name, moment in (since or {}).items():
            beat = found.get(name.replace("-", "_"), {}).get(f"latest_{name.replace('-', '_')}_heartbeat")
            if status.get(name) == "healthy" and beat and datetime.fromisoformat(beat) < moment:
                status[name] = "stale"
        return status

    def is_healthy(self, *, since: Mapping[str, datetime] | None = None) -> bool:
        """Returns whether the API answers and all components' heartbeats are fresh; `since` as for `health`."""
        health = self.health(since=since)
        return all(health.get(name) == "healthy" for name in _HEALTH)

    def processes(self, component: str) -> list[psutil.Process]:
        """Returns a component's process and all below it; those of the scheduler are the workers and their tasks."""
        return self.daemon(component).family()

    def start(self) -> None:
        """Starts the components that don't run and waits until all are healthy.

        Raises:
            DevstackError: one does not come up.
        """
        launched: dict[str, datetime] = {}
        for name in COMPONENTS:
            if not self.daemon(name).is_running():
                launched[name] = datetime.now(UTC)
                self._launch(name)
        self.wait_healthy(since=launched)

    def wait_healthy(self, *, since: Mapping[str, datetime] | None = None, timeout: float = _START_TIMEOUT) -> None:
        """Waits until all components are healthy.

        Args:
            since: as for `health`.
            timeout: seconds.

        Raises:
            DevstackError: one ended, or the time is over.
        """
        deadline = time.monotonic() + timeout
        while not self.is_healthy(since=since):
            dead = [name for name in COMPONENTS if not self.daemon(name).is_running()]
            if dead:
                raise self._failed(dead[0], "ended while Airflow started.")
            if time.monotonic() > deadline:
                health = self.health(since=since)
                worst = next((name for name in COMPONENTS if health.get(name, "healthy") != "healthy"), COMPONENTS[0])
                raise self._failed(worst, f"is not healthy after {timeout:.0f} seconds ({health}).")
            time.sleep(0.3)

    def stop(self) -> None:
        """Ends all components, with every worker and task, also those that a killed scheduler left behind."""
        stop(self.root)

    def kill(self, component: str | None = None, *, family: bool = True) -> None:
        """Ends components at once (SIGKILL), as a crash would.

        Args:
            component: one of `COMPONENTS`; None = all of Airflow.
            family: also what the component started; without, workers and tasks of a scheduler stay behind as orphans.
        """
        for name in COMPONENTS if component is None else (component,):
            self.daemon(name).kill(family=family)

    def restart(self, component: str | None = None) -> None:
        """Stops and starts one component or all of Airflow, and waits until all are healthy."""
        if component is None:
            self.stop()
        else:
            self.daemon(component).stop(grace=_STOP_GRACE)
        self.start()

    def cli(self, *args: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Runs the `airflow` command in the stack's environment; `timeout` in seconds.

        Returns:
            the ended process, whatever its status, with stdout and stderr as text.
        """
        command = [sys.executable, "-m", "airflow", *args]
        return subprocess.run(command, check=False, env=self.full_environ(), cwd=self.root, capture_output=True, text=True, timeout=timeout)

    def _failed(self, component: str, what: str) -> DevstackError:
        return DevstackError(f"airflow {component}", what, log=self.daemon(component).log)

    def full_environ(self) -> dict[str, str]:
        """Returns the environment of its processes, for a program that is to see the same settings."""
        return clean_environ() | dict(self.environ)

    def _launch(self, component: str) -> None:
        self.daemon(component).start([sys.executable, "-m", "airflow", component], self.full_environ(), cwd=self.root)


def start(
    root: Path,
    *,
    include: Path | None = None,
    dags: Path | None = None,
    connections: Mapping[str, str] | None = None,
    extra: Mapping[str, str] | None = None,
) -> AirflowServer:
    """Starts the Airflow of a stack, or returns the one that runs; starts PostgreSQL too if it doesn't run.

    Args:
        root: the stack's folder.
        include: the include folder; None = that of this checkout.
        dags: the DAGs folder; None = that of this checkout.
        connections: URIs by connection id; None = `movies_db`, `analytics_db` and `movies_es` of this stack.
        extra: further environment variables, settings of Airflow for example.

    Raises:
        DevstackError: a component does not come up.
    """
    found = running(root)
    if found is not None:
        found.start()
        return found
    server = prepare(root, include=include, dags=dags, connections=connections, extra=extra)
    server.start()
    return server


def prepare(
    root: Path,
    *,
    include: Path | None = None,
    dags: Path | None = None,
    connections: Mapping[str, str] | None = None,
    extra: Mapping[str, str] | None = None,
) -> AirflowServer:
    """Does what `start` does, but for starting Airflow: its database is there, and `AirflowServer.cli` can be used."""
    root = root.resolve()
    server = _configure(root, postgres.start(root), include=include, dags=dags, connections=connections, extra=extra)
    _migrate(server)
    return server


def running(root: Path) -> AirflowServer | None:
    """Returns the Airflow of a stack if any component runs."""
    root = root.resolve()
    kept = root / "airflow" / "environ.json"
    if not kept.is_file() or "airflow" not in known_ports(root):
        return None
    server = AirflowServer(root, known_ports(root)["airflow"], json.loads(kept.read_text()))
    return server if any(server.daemon(name).is_running() for name in COMPONENTS) else None


def stop(root: Path) -> bool:
    """Ends the Airflow of a stack, orphaned workers included; returns whether anything ran."""
    daemons = [Daemon(name, root.resolve() / "airflow") for name in COMPONENTS]
    with ThreadPoolExecutor(len(daemons)) as pool:
        return any(list(pool.map(lambda daemon: daemon.stop(grace=_STOP_GRACE), daemons)))


def connection_uris(root: Path) -> dict[str, str]:
    """Returns the connections that the shipped pipelines name, of those servers of a stack that run."""
    uris = {}
    database = postgres.running(root)
    if database is not None:
        uris["movies_db"] = database.dsn("movies", role="reader")
        uris["analytics_db"] = database.dsn("analytics", role="analytics")
    search = elasticsearch.running(root)
    if search is not None:
        uris["movies_es"] = f"elasticsearch://{search.host}:{search.port}"
    return uris


def _configure(
    root: Path,
    metadata: PostgresServer,
    *,
    include: Path | None,
    dags: Path | None,
    connections: Mapping[str, str] | None,
    extra: Mapping[str, str] | None,
) -> AirflowServer:
    home = root / "airflow" / "home"
    home.mkdir(parents=True, exist_ok=True)
    folders = {
        "home": home,
        "dags": (dags or CHECKOUT / "dags").resolve(),
        "plugins": CHECKOUT / "plugins",
        "include": (include or CHECKOUT / "include").resolve(),
        "checkout": CHECKOUT,
    }
    ports = {role: port_for(root, name) for role, name in _PORTS.items()}
    uris = connection_uris(root) if connections is None else connections
    environ = settings(root, metadata, ports, folders) | {f"AIRFLOW_CONN_{name.upper()}": uri for name, uri in uris.items()} | dict(extra or {})
    kept = root / "airflow" / "environ.json"
    kept.touch(mode=0o600)
    kept.write_text(json.dumps(environ, indent=2, sort_keys=True))
    return AirflowServer(root, ports["api"], environ)


def _migrate(server: AirflowServer) -> None:
    # The command takes 6 seconds also where there is nothing to do.
    folder = server.root / "airflow"
    stamp = folder / "migrated"
    if stamp.is_file() and stamp.read_text() == version("apache-airflow") and _has_schema(server):
        return
    done = server.cli("db", "migrate", timeout=_START_TIMEOUT)
    log = folder / "db-migrate.log"
    log.write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        raise DevstackError("airflow", f"`airflow db migrate` ended with status {done.returncode}.", log=log)
    stamp.write_text(version("apache-airflow"))


def _has_schema(server: AirflowServer) -> bool:
    url = server.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
    with psycopg.connect(url) as conn:
        row = conn.execute("SELECT to_regclass('alembic_version') IS NOT NULL").fetchone()
    return bool(row and row[0])
