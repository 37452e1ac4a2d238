"""What a table costs a cycle by its size: `python -m benchmarks.scale.tables`."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from psycopg import sql

from benchmarks import machine
from benchmarks.usage import cpu_seconds, postgres_family
from devstack import postgres
from devstack.postgres import PostgresServer
from querymirror.records import CycleSummary, RunRequest
from querymirror.runtime import open_cycle
from querymirror.spec.loader import find_spec, load_settings
from querymirror.state.memory import MemoryStateStore
from querymirror.sync.cycle import run_cycle

HERE = Path(__file__).resolve().parents[1]
CHANGED, DELETED = 1000, 10  # rows
QUIET = 5  # repetitions
SETTINGS = {"max_wal_size": "8GB", "checkpoint_timeout": "30min", "shared_buffers": "1GB"}


class SizedTable:
    """A table of some rows and its pipeline.

    Args:
        server: holds source and target.
        include: folder for the spec.
        rows: how many.
    """

    def __init__(self, server: PostgresServer, include: Path, rows: int) -> None:
        self._server, self._include, self._rows = server, include, rows
        self._name, self._store = f"rows_{rows}", MemoryStateStore()

    def measured(self, say: Callable[[str], None]) -> dict[str, Any]:
        """Returns seconds and CPU seconds, of the process and of the server, of each kind of cycle."""
        say(f"{self._rows:,} rows: making the table")
        self._make()
        found: dict[str, Any] = {"rows": self._rows, "bytes": self._bytes()}
        say(f"{self._rows:,} rows: first load")
        found["first_load"] = self._cycle()
        self._in("analytics", "VACUUM (ANALYZE)")
        self._rest()
        say(f"{self._rows:,} rows: quiet, changed, deleted, compared")
        found["quiet"] = [self._cycle(outcome="quiet") for _ in range(QUIET)][QUIET // 2]
        self._change("UPDATE {} SET value = md5(random()::text), updated_at = clock_timestamp() WHERE id % {} = 0", self._rows // CHANGED)
        found["changed"] = self._cycle()
        self._rest()
        self._change("DELETE FROM {} WHERE id % {} = 1", self._rows // DELETED)
        found["deleted"] = self._cycle()
        self._rest()
        found["compared"] = self._cycle(mode="verify")
        return found

    def _make(self) -> None:
        with psycopg.connect(self._server.dsn("movies"), autocommit=True) as conn:
            table = sql.Identifier(self._name)
            conn.execute(sql.SQL("CREATE TABLE {} (id bigint PRIMARY KEY, value text NOT NULL, updated_at timestamptz NOT NULL)").format(table))
            fill = "INSERT INTO {} SELECT i, md5(i::text), now() - interval '30 days' + i * interval '0.1 s' FROM generate_series(1, {}) AS i"
            conn.execute(sql.SQL(fill).format(table, self._rows))
            conn.execute(sql.SQL("CREATE INDEX ON {} (updated_at)").format(table))
            conn.execute(sql.SQL("GRANT SELECT ON {} TO reader").format(table))
            conn.execute(sql.SQL("VACUUM (ANALYZE, FREEZE) {}").format(table))
        source = {"conn_id": "movies_db", "query": f"SELECT id, value, updated_at FROM {self._name}", "primary_key": ["id"], "cursor_column": "updated_at"}  # noqa: S608
        target = {"type": "postgres", "conn_id": "analytics_db", "table": f"analytics.{self._name}"}
        (self._include / "jobs").mkdir(parents=True, exist_ok=True)
        (self._include / "jobs" / f"{self._name}.yaml").write_text(json.dumps({"source": source, "target": target}), encoding="utf-8")
        allowed = [{"conn_id": "analytics_db", "tables": ["analytics.*"]}]
        (self._include / "settings.yaml").write_text(json.dumps({"allowed_targets": allowed}), encoding="utf-8")

    def _cycle(self, *, outcome: str | None = None, **request: Any) -> dict[str, float]:
        begun, ours, theirs = time.monotonic(), time.process_time(), self._server_cpu()
        summary = self._run(**request)
        seconds, cpu, server = time.monotonic() - begun, time.process_time() - ours, self._server_cpu() - theirs
        if outcome is not None and summary.outcome != outcome:
            message = f"{self._name}: {summary.outcome} instead of {outcome}: {summary.reasons}"
            raise RuntimeError(message)
        return {"seconds": seconds, "cpu": cpu, "server_cpu": server, "upserted": summary.upserted, "deleted": summary.deleted}

    def _server_cpu(self) -> float:
        return cpu_seconds(postgres_family(self._server))

    def _run(self, **request: Any) -> CycleSummary:
        source, target = (self._server.address(name, base, role=role) for name, base, role in _SIDES)
        spec = find_spec(self._name, self._include)
        with open_cycle(spec, source=source, target=target, settings=load_settings(self._include)) as cycle:
            return run_cycle(cycle, self._store, RunRequest(run_id=f"tables__{time.monotonic_ns()}", **request))

    def _rest(self) -> None:
        for _ in range(40):
            if self._run().outcome == "quiet":
                return
            time.sleep(0.5)
        message = f"{self._name} does not come to rest"
        raise RuntimeError(message)

    def _change(self, statement: str, step: int) -> None:
        with psycopg.connect(self._server.dsn("movies"), autocommit=True) as conn:
            conn.execute(sql.SQL(statement).format(sql.Identifier(self._name), max(step, 1)))
            conn.execute("SELECT pg_stat_force_next_flush()")

    def _bytes(self) -> int:
        with psycopg.connect(self._server.dsn("movies")) as conn:
            row = conn.execute("SELECT pg_relation_size(%s)", (self._name,)).fetchone()
        return int(row[0]) if row else 0

    def _in(self, database: str, statement: str) -> None:
        with psycopg.connect(self._server.dsn(database), autocommit=True) as conn:
            conn.execute(statement.encode())


_SIDES = (("movies_db", "movies", "reader"), ("analytics_db", "analytics", "analytics"))


def measure(
    rows: Annotated[str, typer.Option(help="Sizes, with commas.")] = "10000,1000000,10000000",
    root: Annotated[Path, typer.Option(help="Folder of the server, removed in the end.")] = HERE.parent / ".stack" / "tables",
    results: Annotated[Path, typer.Option(help="File of the numbers.")] = HERE / "results" / "tables.json",
) -> None:
    """Load tables of several sizes, and measure quiet, changed and comparing cycles of each."""
    shutil.rmtree(root, ignore_errors=True)
    server = postgres.start(root, extra=SETTINGS)
    try:
        with psycopg.connect(server.dsn()) as conn:
            version = conn.execute("SHOW server_version").fetchone()
        found: dict[str, Any] = {"machine": machine.facts(str(version[0]) if version else ""), "tables": []}
        for size in map(int, rows.split(",")):
            found["tables"].append(SizedTable(server, root / "include", size).measured(typer.echo))
            results.parent.mkdir(parents=True, exist_ok=True)
            results.write_text(json.dumps(found, indent=1), encoding="utf-8")
            typer.echo(json.dumps(found["tables"][-1], indent=1))
    finally:
        server.stop()
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    typer.run(measure)
