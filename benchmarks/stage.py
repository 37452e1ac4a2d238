"""The servers of a run of the benchmarks, what they hold, and the pipelines over it."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import psycopg
from psycopg import sql

from benchmarks.profiles import Profile
from benchmarks.usage import cpu_seconds, postgres_family
from devstack import cinema, elasticsearch, postgres
from devstack.elasticsearch import ElasticsearchServer
from devstack.postgres import PostgresServer
from querymirror.connections import Address
from querymirror.targets.es_client import Client

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parent / "include"
Side = Literal["source", "target"]
_DATABASES: Mapping[Side, str] = {"source": "movies", "target": "analytics"}
_ROLES: Mapping[Side, str] = {"source": "reader", "target": "analytics"}
_MERGING = 60.0  # seconds that merges are waited for


class Stage:
    """Servers of its own, started when first needed; the same settings for what is measured and for its baseline.

    Args:
        root: the folder of the servers; it goes when the run ends.
        profile: sizes.
        say: shows what is being done.
    """

    def __init__(self, root: Path, profile: Profile, say: Callable[[str], None]) -> None:
        self.root, self.profile, self.say = root.resolve(), profile, say

    @cached_property
    def postgres(self) -> PostgresServer:
        """PostgreSQL with fsync on, and room enough that no checkpoint falls into a measurement by chance."""
        self.say("starting PostgreSQL")
        extra = {"shared_buffers": self.profile.shared_buffers, "max_wal_size": "8GB", "checkpoint_timeout": "30min"}
        return postgres.start(self.root, extra=extra)

    @cached_property
    def elasticsearch(self) -> ElasticsearchServer:
        """One node."""
        self.say("starting Elasticsearch")
        return elasticsearch.start(self.root, heap=self.profile.heap)

    def close(self) -> None:
        """Stops the servers and removes their data."""
        for server in (postgres.running(self.root), elasticsearch.running(self.root)):
            if server is not None:
                server.stop()
        shutil.rmtree(self.root, ignore_errors=True)

    def dsn(self, side: Side) -> str:
        """Returns the superuser's URI of a database."""
        return self.postgres.dsn(_DATABASES[side])

    def execute(self, side: Side, statement: str | sql.Composed, params: Any = None) -> list[tuple[Any, ...]]:
        """Runs a statement as superuser, committed and counted by the statistics when it returns."""
        with psycopg.connect(self.dsn(side), autocommit=True) as conn:
            text = sql.SQL(statement) if isinstance(statement, str) else statement
            cursor = conn.execute(text, params)
            rows = cursor.fetchall() if cursor.description else []
            conn.execute("SELECT pg_stat_force_next_flush()")
            return rows

    def file(self, name: str, **names: str) -> sql.Composed:
        """Returns the SQL of a file of this package, with identifiers filled in."""
        text = (HERE / "sql" / f"{name}.sql").read_text(encoding="utf-8")
        identifiers = {key: sql.Identifier(*value.split(".")) for key, value in names.items()}
        return sql.SQL(text).format(**identifiers)

    def psql(self, side: Side, *statements: str | sql.Composable) -> list[str]:
        """Returns the command that runs statements in one psql, as the role that the pipelines use."""
        command = [str(postgres.program("psql")), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.postgres.dsn(_DATABASES[side], role=_ROLES[side])]
        for statement in statements:
            command += ["-c", statement if isinstance(statement, str) else statement.as_string(None)]
        return command

    def settle(self) -> None:
        """Writes out what earlier work left in PostgreSQL's memory and waits for Elasticsearch's merges: none of it falls into the next measurement."""
        self.execute("source", "CHECKPOINT")
        if "elasticsearch" in self.__dict__:
            end = time.monotonic() + _MERGING
            with closing(Client(self.elasticsearch.address("movies_es"))) as client:
                while _merges(client) and time.monotonic() < end:
                    time.sleep(0.2)

    def cpu_of_servers(self) -> float:
        """Returns the CPU seconds of PostgreSQL and Elasticsearch since they started."""
        return cpu_seconds([*postgres_family(self.postgres), *self.elasticsearch.daemon.family()])

    def addresses(self) -> dict[str, Address]:
        """Returns the pipelines' connections; Elasticsearch only once it was started."""
        found = {
            "movies_db": self.postgres.address("movies_db", _DATABASES["source"], role=_ROLES["source"]),
            "analytics_db": self.postgres.address("analytics_db", _DATABASES["target"], role=_ROLES["target"]),
        }
        if "elasticsearch" in self.__dict__:
            found["movies_es"] = self.elasticsearch.address("movies_es")
        return found

    def environ(self, **ports: int) -> dict[str, str]:
        """Returns the environment of `python -m querymirror`; `ports` puts relays in place of servers, by connection id."""
        variables = {f"AIRFLOW_CONN_{name.upper()}": _uri(address, ports.get(name)) for name, address in self.addresses().items()}
        return {**os.environ, **variables}

    @cached_property
    def include(self) -> Path:
        """The pipelines' include folder: the shipped films, and what `add` puts there."""
        folder = self.root / "include"
        shutil.copytree(SHIPPED, folder)
        for job in (folder / "jobs").iterdir():
            if job.name != "movies.yaml":
                job.unlink()
        allowed = [{"conn_id": "analytics_db", "tables": ["analytics.*"]}, {"conn_id": "movies_es", "indices": ["*"]}]
        (folder / "settings.yaml").write_text(json.dumps({"allowed_targets": allowed}), encoding="utf-8")
        return folder

    def add(self, pipeline: str, query: str, target: Mapping[str, Any] | None = None, **fields: Any) -> None:
        """Writes a spec: key `id`, cursor `updated_at`, by default into the table `analytics.<pipeline>`."""
        source = {"conn_id": "movies_db", "query": query, "primary_key": ["id"], "cursor_column": "updated_at"}
        table = {"type": "postgres", "conn_id": "analytics_db", "table": f"analytics.{pipeline}"}
        spec = {"source": source, "target": dict(target or table), **fields}
        # JSON is YAML.
        (self.include / "jobs" / f"{pipeline}.yaml").write_text(json.dumps(spec, indent=1), encoding="utf-8")

    @cached_property
    def events(self) -> int:
        """Makes the narrow table and returns how many rows it has."""
        rows = self.profile.rows
        self.say(f"making {rows:,} narrow rows")
        self._made_by("events", rows)
        self.execute("source", "VACUUM (ANALYZE, FREEZE) events")
        return rows

    @cached_property
    def films(self) -> int:
        """Makes the cinema and returns how many films it has."""
        films = self.profile.films
        self.say(f"making {films:,} films")
        cinema.scale(self.dsn("source"), films, ratings_per_film=0)
        return films

    def pings(self, rows: int) -> str:
        """Makes a small-rowed table and its pipeline; returns the pipeline's id."""
        name = f"pings_{rows}"
        self.say(f"making {rows:,} small rows")
        self._made_by("pings", rows, table=name)
        self.execute("source", sql.SQL("VACUUM (ANALYZE, FREEZE) {}").format(sql.Identifier(name)))
        self.add(name, f"SELECT id, value, updated_at FROM {name}", batch_size=10_000_000)  # noqa: S608 - the text of a spec
        return name

    def _made_by(self, file: str, rows: int, **names: str) -> None:
        with psycopg.connect(self.dsn("source")) as conn:
            conn.execute("SELECT set_config('bench.rows', %s, true)", (str(rows),))
            conn.execute(self.file(file, **names))


def _merges(client: Client) -> int:
    nodes = client.call("GET", "/_nodes/stats/indices/merge")["nodes"].values()
    return sum(int(node["indices"]["merges"]["current"]) for node in nodes)


def _uri(address: Address, port: int | None) -> str:
    login = f"{quote(address.login)}:{quote(address.password or '')}@" if address.login else ""
    scheme = "postgresql" if address.conn_type == "postgres" else address.conn_type
    return f"{scheme}://{login}{address.host}:{port or address.port}/{address.schema or ''}"
