"""The tools that copy a table to a table."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, ClassVar

from psycopg import sql

from benchmarks.peers.contender import Contender
from benchmarks.peers.equal import form_difference, table_difference
from benchmarks.peers.install import packaged
from benchmarks.peers.outcomes import OURS, Tool
from benchmarks.peers.running import forked
from benchmarks.peers.yard import Yard
from benchmarks.pipeline import Pipeline, expect
from benchmarks.processes import CommandError, Finished
from benchmarks.rows.tables import events_pipeline

PROGRAMS = Path(__file__).with_name("programs")
_LATE = "a row that commits late, below the highest cursor, is lost"
_GONE = "deletes are not seen; only a full load removes them"
_NO_CHECK = "no quiet check: each run starts a process and reads by the cursor"


class TableContender(Contender):
    """A tool whose target is `<schema>.events`."""

    schema = ""

    @property
    def table(self) -> str:
        """Its target."""
        return f"{self.schema}.events"

    def forget(self) -> None:
        """Removes schema and folder."""
        self.yard.execute("target", sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(self.schema)))
        self.yard.clear(self.folder)

    def difference(self) -> str:
        """Compares all rows."""
        return table_difference(self.yard, self.table)

    def form(self) -> list[str]:
        """Compares types and key."""
        return form_difference(self.yard, self.table)

    def source(self, scheme: str = "postgresql", query: str = "") -> str:
        """Returns the URI of the source for a role that may read."""
        return self.yard.postgres.dsn("movies", role="reader").replace("postgresql", scheme, 1) + query

    def target(self, query: str = "") -> str:
        """Returns the URI of the target for its owner."""
        return self.yard.postgres.dsn("analytics", role="analytics") + query


class Ours(TableContender):
    """The product, as `python -m querymirror run`."""

    schema, name, resident = "analytics", "events", True
    tool = Tool(OURS, "querymirror", "`python -m querymirror run`, one batch; state in a file, in Airflow a Variable")

    def __init__(self, yard: Yard) -> None:
        super().__init__(yard)
        self.pipeline: Pipeline = events_pipeline(yard, self.name)

    def forget(self) -> None:
        """Removes table and state."""
        self.pipeline.forget()

    def load(self) -> Finished:
        """Runs a first cycle."""
        return run_ours(self, self.pipeline)

    def cycle(self) -> Finished:
        """Runs a cycle."""
        return run_ours(self, self.pipeline)

    def check(self) -> Finished:
        """Runs a cycle here, as the triggerer does."""
        return check_ours(self.pipeline)


class OursForked(Ours):
    """The product where a worker that has imported it forks for a cycle, with a table of its own."""

    name, resident = "events_forked", False
    tool = Tool(
        "ours-forked",
        "querymirror, forked",
        "the same in a process forked from one that has imported it, as Airflow's are; what Airflow takes to start a task is left out, as for all others",
    )

    @property
    def table(self) -> str:
        """Its target."""
        return self.pipeline.table

    def load(self) -> Finished:
        """Runs a first cycle."""
        return self.cycle()

    def cycle(self) -> Finished:
        """Runs a cycle."""
        return forked(self.pipeline.cycle, timeout=self.yard.timeout)


def run_ours(contender: Contender, pipeline: Pipeline) -> Finished:
    """Runs one cycle of a pipeline in a process of its own."""
    return contender.run(pipeline.command("--json"), contender.yard.environ())


def check_ours(pipeline: Pipeline) -> Finished:
    """Runs one cycle of a pipeline in this process, logins included."""
    pipeline.ready()  # a bound that an autovacuum held back is settled first
    begun = time.monotonic()
    summary, seconds, cpu = pipeline.cycle()
    expect("outcome", summary.outcome, "quiet")
    return Finished(begun, seconds, cpu)


class Sling(TableContender):
    """Sling with a replication file."""

    schema, requirements = "peers_sling", "sling"
    tool = Tool(
        "sling",
        "Sling 1.4.11",
        "a replication of its own file: `full-refresh`, then `incremental` with primary_key, update_key, use_bulk (COPY), table_keys",
        (
            f"{_GONE} (`delete_missing` asks for a paid token)",
            f"reads `>` the target's highest cursor: {_LATE}, and so is one with the same cursor",
            _NO_CHECK,
            "no state in Airflow: the target's highest cursor is its place",
        ),
    )

    def load(self) -> Finished:
        """Runs the replication in full."""
        return self._run("full-refresh")

    def cycle(self) -> Finished:
        """Runs it for what has changed."""
        return self._run("incremental")

    def _run(self, mode: str) -> Finished:
        stream = {
            "object": self.table,
            "primary_key": ["id"],
            "update_key": "updated_at",
            "target_options": {"use_bulk": True, "table_keys": {"primary": ["id"]}},
        }
        file = self.folder / f"{mode}.json"
        file.write_text(
            json.dumps({"source": "SOURCE_DB", "target": "TARGET_DB", "defaults": {"mode": mode}, "streams": {"public.events": stream}}), encoding="utf-8"
        )
        program = packaged(self.environment, "sling_linux_*/bin/sling-linux-*")
        environ = {"SOURCE_DB": self.source(query="?sslmode=disable"), "TARGET_DB": self.target("?sslmode=disable"), "SLING_DISABLE_TELEMETRY": "true"}
        finished = self.run([str(program), "run", "-r", str(file)], {**environ, "SLING_HOME_DIR": str(self.folder)})
        if "execution succeeded" not in finished.output:  # it ends with status 0 after some failures
            raise CommandError(finished.output[-300:])
        return finished


class Ingestr(TableContender):
    """ingestr with the place of the last run given by whoever starts it."""

    schema, requirements = "peers_ingestr", "ingestr"
    tool = Tool(
        "ingestr",
        "ingestr 0.15.9",
        "`replace`, then `merge` with primary and incremental key and `--interval-start`; five workers (default); telemetry off",
        (
            f"{_GONE} (its CDC mode, with wal_level=logical, a publication, a slot and soft deletes, took its snapshot here, then in 90 s no change)",
            "no state: without `--interval-start` each run reads the whole table",
            _LATE,
            _NO_CHECK,
        ),
    )
    since: str | None = None

    def load(self) -> Finished:
        """Replaces the table."""
        return self._run("replace")

    def before_cycle(self) -> None:
        """Asks the target's highest cursor, which a scheduler's interval would be."""
        name = sql.Identifier(*self.table.split("."))
        (row,) = self.yard.execute("target", sql.SQL("SELECT to_char(max(updated_at) AT TIME ZONE 'UTC', {}) FROM {}").format('YYYY-MM-DD"T"HH24:MI:SS', name))
        self.since = row[0]

    def cycle(self) -> Finished:
        """Merges what has changed since."""
        return self._run("merge", "--incremental-key", "updated_at", "--interval-start", self.since or "")

    def _run(self, strategy: str, *options: str) -> Finished:
        places = ["--source-uri", self.source(query="?sslmode=disable"), "--dest-uri", self.target("?sslmode=disable")]
        tables = ["--source-table", "public.events", "--dest-table", self.table, "--primary-key", "id"]
        program = str(self.environment / "bin" / "ingestr")
        command = [program, "ingest", "--yes", "--progress", "log", *places, *tables, "--incremental-strategy", strategy, *options]
        return self.run(command, {"INGESTR_DISABLE_TELEMETRY": "true", "DISABLE_TELEMETRY": "true"})


class Dlt(TableContender):
    """dlt's sql_table with one of its backends."""

    requirements, backend = "dlt", ""
    lacks: ClassVar[tuple[str, ...]] = (
        f"{_GONE} (`replace`), unless the source marks them in a column",
        f"a cursor of the highest value only: {_LATE} (its `lag` would re-read a tail)",
        _NO_CHECK,
        "no state in Airflow: a folder of the worker, and tables of its own in the target",
    )

    def load(self) -> Finished:
        """Replaces the table."""
        return self._run(full=True)

    def cycle(self) -> Finished:
        """Merges what has changed."""
        return self._run(full=False)

    def _run(self, *, full: bool) -> Finished:
        given: dict[str, Any] = {"backend": self.backend, "dataset": self.schema, "folder": str(self.folder / "pipelines"), "full": full}
        given |= {"source": self.source("postgresql+psycopg2"), "target": self.target()}
        return self.run([self.python, str(PROGRAMS / "dlt_events.py"), json.dumps(given)], {"RUNTIME__DLTHUB_TELEMETRY": "false"})


class DltConnectorx(Dlt):
    """dlt over connectorx."""

    schema, backend = "peers_dlt_connectorx", "connectorx"
    tool = Tool("dlt-connectorx", "dlt 1.31.0, connectorx", "`sql_table`, parquet through ADBC, `replace`, then `merge` by upsert; telemetry off", Dlt.lacks)


class DltPyarrow(Dlt):
    """dlt over pyarrow."""

    schema, backend = "peers_dlt_pyarrow", "pyarrow"
    tool = Tool("dlt-pyarrow", "dlt 1.31.0, pyarrow", "the same with the other backend, chunks of 100,000 rows", Dlt.lacks)


class Hand(TableContender):
    """The script that most people write."""

    schema, requirements = "peers_hand", "hand"
    tool = Tool(
        "hand",
        "by hand",
        "psycopg2: server-side cursor, fetchmany(10,000), `execute_values` with ON CONFLICT DO UPDATE",
        (_GONE, _LATE, _NO_CHECK, "no state in Airflow: the target's highest cursor is its place"),
    )

    def load(self) -> Finished:
        """Copies all rows."""
        return self.cycle()

    def cycle(self) -> Finished:
        """Copies those above the target's highest cursor."""
        return self.run([self.python, str(PROGRAMS / "hand_events.py"), self.source(), self.target()])


TABLES: tuple[type[TableContender], ...] = (Ours, OursForked, Sling, Ingestr, DltConnectorx, DltPyarrow, Hand)
