"""Many small pipelines on servers of their own: one source database, one target database, one Airflow."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import psycopg
from psycopg import sql

from devstack import airflow, postgres
from devstack.airflow import AirflowServer
from devstack.airflow_settings import specs_bundle
from devstack.errors import DevstackError
from devstack.postgres import PostgresServer
from querymirror.records import RunRequest
from querymirror.runtime import open_cycle
from querymirror.spec.loader import Loaded, load_all, load_settings
from querymirror.state.base import state_key
from querymirror.state.memory import MemoryStateStore
from querymirror.sync.cycle import run_cycle

ROWS = 100  # of each pipeline's table
GROUP = 50  # tables made in one transaction; more would need more locks than PostgreSQL has room for
ATTEMPTS = 20  # at a quiet cycle, half a second apart
SETTINGS = {"max_wal_size": "4GB", "max_connections": "300"}
# What docs/scaling.md advises beside the settings of the embedded stack, which wants its few pipelines quick.
ADVISED = {
    # All pipelines are parsed when a spec changed, which the bundle sees, and else hardly ever.
    "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": specs_bundle(refresh_interval=10),
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "120",
    "AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD": "150",
    "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "30",
    # Building 1,000 DAGs takes seconds on an idle core, but a busy machine must not lose them.
    "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "120",
    "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "180",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
    "AIRFLOW__SCHEDULER__PARSING_CLEANUP_INTERVAL": "60",
    # A moment in which everybody waits for a core must not pass for a dead process.
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "60",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "60",
}


@dataclass(frozen=True)
class Plan:
    """What a fleet is and how long it is watched.

    Attributes:
        name: of the trial, in the results.
        pipelines: how many.
        changing: how many of them have a changed row in every interval.
        minutes: of schedule that are watched; a multiple of `interval`.
        schedule: of all pipelines.
        interval: minutes between two runs of a pipeline.
        extra: further environment variables of Airflow.
    """

    name: str
    pipelines: int
    changing: int
    minutes: int
    schedule: str = "H/5 * * * *"
    interval: int = 5
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        """What Airflow is told beside the settings of the embedded stack."""
        return ADVISED | dict(self.extra)

    @property
    def runs(self) -> int:
        """How many runs fall into the minutes that are watched."""
        return self.pipelines * self.minutes // self.interval


class Fleet:
    """Servers and pipelines of one trial.

    Args:
        root: the folder of the servers; `close` removes it.
        plan: what to build.
        say: shows what is being done.
    """

    def __init__(self, root: Path, plan: Plan, say: Callable[[str], None]) -> None:
        self.root, self.plan, self.say = root.resolve(), plan, say
        self.include = self.root / "include"
        self.names = [f"p{number:05}" for number in range(plan.pipelines)]

    @cached_property
    def data(self) -> PostgresServer:
        """The server of source and target, apart from Airflow's."""
        return postgres.start(self.root / "data", extra=SETTINGS)

    @cached_property
    def prepared(self) -> AirflowServer:
        """Airflow with its own PostgreSQL and its Variables, not started."""
        uris = {"movies_db": self.data.dsn("movies", role="reader"), "analytics_db": self.data.dsn("analytics", role="analytics")}
        return airflow.prepare(self.root / "airflow", include=self.include, connections=uris, extra=self.plan.environ)

    @cached_property
    def airflow(self) -> AirflowServer:
        """The same, started; the pipelines run from the moment it sees them."""
        self.prepared.start()
        return self.prepared

    @property
    def metadata(self) -> PostgresServer:
        """Airflow's PostgreSQL."""
        found = postgres.running(self.root / "airflow")
        if found is None:
            raise DevstackError("postgres", "Airflow's server is gone.")
        return found

    def build(self) -> None:
        """Makes the tables and specs and loads every target, so that the pipelines start at rest.

        Raises:
            DevstackError: a server does not come up, or a pipeline does not come to rest.
        """
        self.say(f"{self.plan.name}: {self.plan.pipelines} tables and specs")
        for start in range(0, len(self.names), GROUP):
            self._make_tables(self.names[start : start + GROUP])
        self._write_specs()
        self.say(f"{self.plan.name}: first load of every pipeline")
        states = self._load()
        self.say(f"{self.plan.name}: starting Airflow's database, and the states as Variables")
        self._keep_states(states)

    def close(self) -> None:
        """Stops everything and removes the data."""
        airflow.stop(self.root / "airflow")
        for server in (postgres.running(self.root / "airflow"), postgres.running(self.root / "data")):
            if server is not None:
                server.stop()
        shutil.rmtree(self.root, ignore_errors=True)

    def change(self) -> None:
        """Changes one row of each pipeline that is to have work."""
        with psycopg.connect(self.data.dsn("movies"), autocommit=True) as conn:
            for name in self.names[: self.plan.changing]:
                text = sql.SQL("UPDATE fleet.{} SET value = md5(random()::text), updated_at = clock_timestamp() WHERE id = %s").format(sql.Identifier(name))
                conn.execute(text, [random.randint(1, ROWS)])  # noqa: S311 - no secret

    def different(self) -> int:
        """Returns how many targets do not equal their source."""
        with psycopg.connect(self.data.dsn("movies")) as source, psycopg.connect(self.data.dsn("analytics")) as target:
            return sum(_digest(source, "fleet", name) != _digest(target, "analytics", name) for name in self.names)

    def add_spec(self, name: str) -> Path:
        """Writes the spec of one more pipeline, which stays paused, over the first one's table."""
        spec = self._spec(self.names[0]) | {"paused": True}
        spec["target"] = {"type": "postgres", "conn_id": "analytics_db", "table": f"analytics.{name}"}
        return self._write(name, spec)

    def _make_tables(self, names: list[str]) -> None:
        with psycopg.connect(self.data.dsn("movies")) as conn:
            conn.execute("CREATE SCHEMA IF NOT EXISTS fleet")
            conn.execute("GRANT USAGE ON SCHEMA fleet TO reader")
            for name in names:
                table = sql.Identifier("fleet", name)
                conn.execute(sql.SQL("CREATE TABLE {} (id int PRIMARY KEY, value text NOT NULL, updated_at timestamptz NOT NULL)").format(table))
                fill = "INSERT INTO {} SELECT i, md5(i::text), now() - interval '30 days' + i * interval '0.1 s' FROM generate_series(1, {}) AS i"
                conn.execute(sql.SQL(fill).format(table, ROWS))
                conn.execute(sql.SQL("CREATE INDEX ON {} (updated_at)").format(table))
                conn.execute(sql.SQL("GRANT SELECT ON {} TO reader").format(table))

    def _write_specs(self) -> None:
        (self.include / "jobs").mkdir(parents=True)
        allowed = [{"conn_id": "analytics_db", "tables": ["analytics.*"]}]
        defaults = {"schedule": self.plan.schedule, "reconcile_every": 86_400}
        (self.include / "settings.yaml").write_text(json.dumps({"allowed_targets": allowed, "defaults": defaults}), encoding="utf-8")
        for name in self.names:
            self._write(name, self._spec(name))

    def _write(self, name: str, spec: Mapping[str, object]) -> Path:
        file = self.include / "jobs" / f"{name}.yaml"
        file.write_text(json.dumps(spec, indent=1), encoding="utf-8")  # JSON is YAML
        return file

    def _spec(self, name: str) -> dict[str, object]:
        source = {
            "conn_id": "movies_db",
            "query": f"SELECT id, value, updated_at FROM fleet.{name}",  # noqa: S608 - the text of a spec
            "primary_key": ["id"],
            "cursor_column": "updated_at",
        }
        return {"source": source, "target": {"type": "postgres", "conn_id": "analytics_db", "table": f"analytics.{name}"}, "paused": False}

    def _load(self) -> MemoryStateStore:
        store, loaded = MemoryStateStore(), load_all(self.include)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name: self._cycle(name, store, loaded), self.names))
        # VACUUM does not move the counters; it keeps autovacuum from coming by during the trial
        for database in ("movies", "analytics"):
            with psycopg.connect(self.data.dsn(database), autocommit=True) as conn:
                conn.execute("VACUUM (ANALYZE)")
        for name in self.names:
            self._settle(name, store, loaded)
        return store

    def _settle(self, name: str, store: MemoryStateStore, loaded: Loaded) -> None:
        for _ in range(ATTEMPTS):
            if self._cycle(name, store, loaded) == "quiet":
                return
            time.sleep(0.5)
        raise DevstackError(name, "does not come to rest.")

    def _cycle(self, name: str, store: MemoryStateStore, loaded: Loaded) -> str:
        source, target = self.data.address("movies_db", "movies", role="reader"), self.data.address("analytics_db", "analytics", role="analytics")
        with open_cycle(loaded.specs[name], source=source, target=target, settings=load_settings(self.include)) as cycle:
            return run_cycle(cycle, store, RunRequest(run_id=f"fleet__{name}__{time.monotonic_ns()}")).outcome

    def _keep_states(self, store: MemoryStateStore) -> None:
        file = self.root / "states.json"
        states = {name: store.read(name) for name in self.names}
        file.write_text(json.dumps({state_key(name): json.dumps(state.to_json()) for name, state in states.items() if state}), encoding="utf-8")
        done = self.prepared.cli("variables", "import", os.fspath(file), timeout=600)
        if done.returncode != 0:
            raise DevstackError("airflow", f"`airflow variables import` failed: {done.stderr[-500:]}")


def _digest(conn: psycopg.Connection, schema: str, name: str) -> object:
    query = sql.SQL("SELECT count(*), md5(string_agg(concat_ws(':', id, value, updated_at), ',' ORDER BY id)) FROM {}")
    return conn.execute(query.format(sql.Identifier(schema, name))).fetchone()
