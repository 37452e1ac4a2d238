"""`python -m benchmarks.freshness`: seconds from a commit in the source to the row in the target, with `watch`, in a whole Airflow of its own."""

from __future__ import annotations

import json
import random
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from psycopg import sql
from rich.console import Console

from benchmarks import machine
from benchmarks.report import replace_between
from benchmarks.results import Results, Row
from benchmarks.show import cells, notes, show
from devstack import airflow, postgres
from devstack.airflow_api import AirflowApi
from devstack.postgres import PostgresServer
from querymirror.triggers.watch_state import APPLICATION_NAME

HERE = Path(__file__).resolve().parent
FILE = HERE / "results" / "freshness.json"
BEGIN, END = "<!-- freshness: written by `python -m benchmarks report` -->", "<!-- /freshness -->"
GOAL = 5.0  # seconds
PATIENCE = 60.0  # seconds for one commit to arrive
PIPELINES = 5
APART = (4.0, 9.0)  # seconds between two commits, by chance, so that they fall anywhere between two looks
CONNECTIONS = {"movies_db": ("movies", "reader"), "analytics_db": ("analytics", "analytics")}
console = Console(width=160)


class _Api(AirflowApi):
    """What is asked of Airflow beside what the demo asks."""

    def parts(self, dag_id: str, at: datetime) -> dict[str, float]:
        """Returns when each stage of the newest run was over, in seconds after a moment."""
        run = self.runs(dag_id)[0]
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run.run_id}"
        events = [event["timestamp"] for event in self._get(f"{path}/upstreamAssetEvents")["asset_events"]]
        tasks = {task["task_id"]: task["end_date"] for task in self._get(f"{path}/taskInstances")["task_instances"]}
        moments = {"event": max(events), "run": run.queued_at.isoformat(), **{name: tasks[name] for name in ("detect_changes", "ensure_target", "extract")}}
        return {part: (datetime.fromisoformat(moment) - at).total_seconds() for part, moment in moments.items()}


def main(
    *,
    repeats: Annotated[int, typer.Option(min=1, help="Commits that are timed.")] = 30,
    watch: Annotated[str, typer.Option(help="The field of the specs.")] = "2s",
    root: Annotated[Path, typer.Option(help="Folder of the servers, removed in the end.")] = HERE.parent / ".stack" / "freshness",
    results: Annotated[Path, typer.Option(help="File of the numbers.")] = FILE,
    keep: Annotated[bool, typer.Option("--keep", help="Leave servers and data where they are.")] = False,
) -> None:
    """Measure, show a table and keep the numbers as JSON."""
    try:
        with _site(root, watch) as (server, api):
            facts = machine.facts(_ask(server, "movies", "SHOW server_version"))
            row = _measure(server, api, repeats, watch)
            found = Results({"name": "freshness", "repeats": repeats, "watch": watch, "pipelines": PIPELINES}, facts, [row])
    finally:
        if not keep:
            _remove(root)
    found.save(results)
    show(found, console)
    console.print(f"kept in {results}", highlight=False)


def write(found: Results, page: Path) -> None:
    """Replaces what stands between the two marks of a page."""
    facts = found.machine
    lines = [
        f"Measured {facts['at'][:10]} at commit `{facts['commit']}`: {facts['cores']} cores of {facts['cpu']}, PostgreSQL {facts['postgresql']},",
        f"Airflow {facts['packages']['apache-airflow']} with the embedded stack's settings, {machine.before(facts)}.",
        "",
        "| work | median | goal | reached |",
        "| --- | ---: | --- | --- |",
        *(f"| {work} | {median} | {goal} | {reached} |" for work, median, _, _, goal, reached in map(cells, found.rows)),
        "",
        *notes(found),
    ]
    replace_between(page, BEGIN, END, "\n".join(lines))


@contextmanager
def _site(root: Path, watch: str) -> Iterator[tuple[PostgresServer, _Api]]:
    """Starts PostgreSQL and Airflow with a few pipelines over one source, all filled."""
    names = [f"pings_{number}" for number in range(PIPELINES)]
    console.print(f"starting PostgreSQL and Airflow with {PIPELINES} pipelines")
    server = postgres.start(root)
    include = root / "include"
    (include / "jobs").mkdir(parents=True, exist_ok=True)
    (include / "settings.yaml").write_text(json.dumps({"allowed_targets": [{"conn_id": "analytics_db", "tables": ["public.*"]}]}))
    with psycopg.connect(server.dsn("movies"), autocommit=True) as conn:
        for name in names:
            conn.execute(_TABLE.format(name=sql.Identifier(name)))
            (include / "jobs" / f"{name}.yaml").write_text(json.dumps(_spec(name, watch)))
    connections = {name: server.dsn(database, role=role) for name, (database, role) in CONNECTIONS.items()}
    site = airflow.start(root, include=include, connections=connections)
    with _Api(site.url, user="admin", password="admin") as api:  # noqa: S106 - of a server that lives for a minute on this machine
        api.wait_for_dags(names, timeout=90)
        for name in names:
            _wait(partial(_is_filled, server, name), f"{name} to be filled")
        yield server, api


_TABLE = sql.SQL("""
CREATE TABLE IF NOT EXISTS {name} (id int PRIMARY KEY, value text, updated_at timestamptz NOT NULL DEFAULT now());
INSERT INTO {name} SELECT n, 'first', now() - interval '1 hour' FROM generate_series(1, 10000) n ON CONFLICT DO NOTHING;
CREATE INDEX IF NOT EXISTS {name} ON {name} (updated_at);
GRANT SELECT ON {name} TO reader;
""")


def _spec(name: str, watch: str) -> dict[str, Any]:
    source = {"conn_id": "movies_db", "query": f"SELECT id, value, updated_at FROM {name}", "primary_key": ["id"], "cursor_column": "updated_at"}  # noqa: S608
    # no schedule: whatever arrives, the watcher has started it
    return {"source": source, "target": {"type": "postgres", "conn_id": "analytics_db", "table": f"public.{name}"}, "schedule": None, "watch": watch}


def _measure(server: PostgresServer, api: _Api, repeats: int, watch: str) -> Row:
    samples: list[float] = []
    parts: list[dict[str, float]] = []
    with psycopg.connect(server.dsn("movies"), autocommit=True) as writer:
        for number in range(repeats + 1):
            name = f"pings_{number % PIPELINES}"
            time.sleep(random.uniform(*APART))  # noqa: S311 - where between two looks a commit falls
            value, at, began = f"value {number}", datetime.now(UTC), time.monotonic()
            writer.execute(sql.SQL("UPDATE {} SET value = %s, updated_at = now() WHERE id = %s").format(sql.Identifier(name)), (value, number + 1))
            _wait(partial(_carries, server, name, number + 1, value), f"{name} to carry commit {number}", every=0.02)
            if number:  # the first one pays what Airflow builds lazily
                samples.append(time.monotonic() - began)
                parts.append(api.parts(name, at))
                console.print(f"{number:>3} {name} {samples[-1]:.2f} s {_shown(parts[-1])}", highlight=False)
    sessions = _ask(server, "postgres", "SELECT count(*)::text FROM pg_stat_activity WHERE application_name = %s", APPLICATION_NAME)
    notes = {
        "90th percentile": f"{sorted(samples)[int(len(samples) * 0.9)]:.2f} s" if len(samples) > 1 else "",
        "medians after the commit": _shown({part: statistics.median(found[part] for found in parts) for part in parts[0]}),
        "sessions of watchers": f"{sessions} for {PIPELINES} pipelines",
    }
    work = f"from a commit in the source to the row in the target, `watch: {watch}`, no schedule"
    return Row("freshness", work, "", "s", samples, judge="at_most", limit=GOAL, notes=notes)


def _shown(parts: dict[str, float]) -> str:
    return ", ".join(f"{part} {seconds:.2f}" for part, seconds in parts.items())


def _value(server: PostgresServer, name: str, key: int) -> str:
    statement = sql.SQL("SELECT value FROM {} WHERE id = %s").format(sql.Identifier("public", name))
    return _ask(server, "analytics", statement, key)


def _carries(server: PostgresServer, name: str, key: int, value: str) -> bool:
    return _value(server, name, key) == value


def _is_filled(server: PostgresServer, name: str) -> bool:
    return _ask(server, "analytics", "SELECT to_regclass(%s)::text", f"public.{name}") != "" and _value(server, name, 1) == "first"


_open: dict[str, psycopg.Connection[Any]] = {}


def _ask(server: PostgresServer, database: str, statement: str | sql.Composed, *params: object) -> str:
    if database not in _open:
        _open[database] = psycopg.connect(server.dsn(database), autocommit=True)
    row = _open[database].execute(sql.SQL(statement) if isinstance(statement, str) else statement, params or None).fetchone()
    return str(row[0] or "") if row else ""


def _wait(done: Callable[[], bool], what: str, *, every: float = 0.3) -> None:
    end = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > end:
            console.print(f"waited {PATIENCE:g} s for {what}")
            raise typer.Exit(1)
        time.sleep(every)


def _remove(root: Path) -> None:
    for conn in _open.values():
        conn.close()
    airflow.stop(root)
    server = postgres.running(root)
    if server is not None:
        server.stop()
    shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    typer.run(main)
