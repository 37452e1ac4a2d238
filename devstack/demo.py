"""`make demo`: the stack, the data, two cycles of every shipped pipeline, and a comparison of each target with its query."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psycopg
from elasticsearch import Elasticsearch
from rich import box
from rich.console import Console
from rich.table import Table

from devstack import airflow, cinema, elasticsearch, postgres
from devstack.airflow_api import AirflowApi, AirflowApiError
from devstack.airflow_settings import USERS
from devstack.demo_changes import change_source
from devstack.demo_check import DOCUMENTS, TABLES, Comparison, compare_index, compare_table
from devstack.demo_cycle import Counts, run_all

T = TypeVar("T")
PIPELINES = ("film_dim", "film_rating_agg", "film_rentals", "movies", "persons", "genres")
DAGS_TIMEOUT = 120  # seconds until Airflow knows all DAGs
CYCLE_TIMEOUT = 300  # seconds for one cycle of all pipelines; the first run after a start takes the longest


@dataclass(frozen=True)
class Servers:
    """What the demo talks to.

    Attributes:
        source: conninfo of the database `movies`, as a role that may write.
        target: conninfo of the database `analytics`.
        elasticsearch: its URL.
        airflow: the api-server's URL.
        user: who logs in there.
        password: of that user.
    """

    source: str
    target: str
    elasticsearch: str
    airflow: str
    user: str
    password: str


@dataclass(frozen=True)
class Row:
    """One line of the demo's table: a pipeline in a cycle."""

    cycle: int
    counts: Counts
    comparison: Comparison


def run_demo(root: Path) -> int:
    """Runs the whole demo and leaves the stack up; what is there from before is used again.

    Args:
        root: the stack's folder.

    Returns:
        the exit status: 0 only if no run failed and every target equals its query after each cycle.

    Raises:
        DevstackError: a part of the stack does not come up.
    """
    console = Console()
    servers = start_servers(console, root)
    try:
        rows = run_cycles(console, servers)
    except AirflowApiError as err:
        console.print(f"The demo stopped: {err}", style="red", highlight=False, markup=False, soft_wrap=True)
        return 1
    return 0 if show_result(console, rows, servers) else 1


def start_servers(console: Console, root: Path) -> Servers:
    """Starts what does not run yet and loads the data, saying how long each took.

    Raises:
        DevstackError: a part does not come up.
    """
    console.print("[bold]The stack[/]")
    database = _step(console, "PostgreSQL", lambda: postgres.start(root), lambda server: f"{server.host}:{server.port}")
    # Before Airflow: its schedule starts the pipelines as soon as it sees them, and they need their tables.
    _step(console, "data", lambda: _load_data(database.dsn("movies")), str)
    search = _step(console, "Elasticsearch", lambda: elasticsearch.start(root), lambda server: server.url)
    scheduler = _step(console, "Airflow", lambda: airflow.start(root), lambda server: server.url)
    user, (_, password) = next(iter(USERS.items()))
    return Servers(database.dsn("movies"), database.dsn("analytics"), search.url, scheduler.url, user, password)


def run_cycles(console: Console, servers: Servers) -> list[Row]:
    """Runs all pipelines, changes the source, runs them again; compares every target after each cycle.

    Raises:
        AirflowApiError: Airflow lacks a DAG, or a run did not end in time.
    """
    with AirflowApi(servers.airflow, user=servers.user, password=servers.password) as api:
        with console.status("waiting for the DAGs"):
            api.wait_for_dags(PIPELINES, timeout=DAGS_TIMEOUT)
        for pipeline in PIPELINES:
            api.set_paused(pipeline, paused=False)
        rows = _run_cycle(console, api, servers, number=1)
        console.print("\n[bold]The source changes[/]")
        for what, count in change_source(servers.source).items():
            console.print(f"  {count:>5} {what}", highlight=False)
        return rows + _run_cycle(console, api, servers, number=2)


def show_result(console: Console, rows: list[Row], servers: Servers) -> bool:
    """Prints the table of all rows, what differs, and where to log in; returns whether all are equal and none failed."""
    console.print()
    console.print(_table(rows))
    for row in rows:
        for difference in row.comparison.differences:
            console.print(f"[red]cycle {row.cycle} {row.counts.pipeline}:[/] {difference}", highlight=False, soft_wrap=True)
    good = all(row.comparison.equal and not row.counts.failure for row in rows)
    said = "[green]Every target equals its query.[/]" if good else "[red]Not every target equals its query.[/]"
    console.print(
        f"{said} Airflow: {servers.airflow} (login {servers.user}, password {servers.password}). Stop it with: make stop", highlight=False, soft_wrap=True
    )
    return good


def _run_cycle(console: Console, api: AirflowApi, servers: Servers, *, number: int) -> list[Row]:
    console.print(f"\n[bold]Cycle {number}[/]")
    started = time.monotonic()

    def done(counts: Counts) -> None:
        mark = "[red]failed[/]" if counts.failure else "done"
        console.print(f"  {counts.pipeline:<16} {mark} after {time.monotonic() - started:.1f} s", highlight=False)
        if counts.failure:
            console.print(counts.failure, style="red", highlight=False, markup=False, soft_wrap=True)

    with console.status(f"running {len(PIPELINES)} pipelines"):
        counts = run_all(api, PIPELINES, timeout=CYCLE_TIMEOUT, done=done)
    with console.status("comparing every target with its query"):
        compared = compare_all(servers)
    return [Row(number, counts[pipeline], compared[pipeline]) for pipeline in PIPELINES]


def compare_all(servers: Servers) -> dict[str, Comparison]:
    """Compares every target with its query, on both sides at one moment each."""
    client = Elasticsearch(servers.elasticsearch)
    with psycopg.connect(servers.source) as source, psycopg.connect(servers.target) as target:
        tables = {pipeline: compare_table(pipeline, source, target) for pipeline in TABLES}
        indices = {pipeline: compare_index(pipeline, source, client) for pipeline in DOCUMENTS}
    client.close()
    return tables | indices


def _step(console: Console, name: str, work: Callable[[], T], describe: Callable[[T], str]) -> T:
    began = time.monotonic()
    with console.status(f"starting {name}"):
        result = work()
    console.print(f"  {name:<14} {time.monotonic() - began:5.1f} s  {describe(result)}", highlight=False, soft_wrap=True)
    return result


def _load_data(conninfo: str) -> str:
    before = cinema.is_loaded(conninfo)
    counts = cinema.row_counts(conninfo) if before else cinema.load(conninfo)
    listing = ", ".join(f"{table.split('.')[1]} {count:,}" for table, count in counts.items())
    return f"{listing} (from before)" if before else listing


def _table(rows: list[Row]) -> Table:
    # Fits a terminal of 80 columns, and a log.
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("pipeline", "cycle", "read", "upserted", "deleted", "seconds", "source", "target", "equal"):
        table.add_column(heading, justify="left" if heading in {"pipeline", "equal"} else "right", no_wrap=True)
    for pipeline in PIPELINES:
        for row in (row for row in rows if row.counts.pipeline == pipeline):
            counts, compared = row.counts, row.comparison
            equal = "[green]yes[/]" if compared.equal and not counts.failure else "[red]no[/]"
            numbers = (row.cycle, counts.read, counts.upserted, counts.deleted)
            table.add_row(pipeline, *map(str, numbers), f"{counts.seconds:.2f}", str(compared.source), str(compared.target), equal)
        table.add_section()
    return table
