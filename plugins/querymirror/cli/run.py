"""`python -m querymirror run`: one cycle in this process, the same steps as the DAG's tasks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from querymirror.cli.output import console, fail, print_json, table
from querymirror.cli.session import AllowMassDelete, AsJson, Bounds, FullRefresh, Include, PipelineName, StateFile, Verify, opened, request_of, store_of
from querymirror.errors import PipelineError
from querymirror.records import CycleSummary
from querymirror.spec.loader import default_include
from querymirror.sync.cycle import Watch, run_cycle

_SHOWN = ("outcome", "read", "upserted", "unchanged", "deleted", "rejected", "seconds", "cursor_before", "cursor_after")


def run(
    pipeline: PipelineName,
    *,
    include: Include = None,
    state: StateFile = None,
    full_refresh: FullRefresh = False,
    verify: Verify = False,
    window: Bounds = None,
    allow_mass_delete: AllowMassDelete = False,
    as_json: AsJson = False,
) -> None:
    """Run one cycle of a pipeline in this process, with no scheduler.

    Connections come from AIRFLOW_CONN_<ID>. Exit status: 0 = the target equals the query, 1 = it failed, with the error.
    """
    folder = include or default_include()
    request = request_of(full_refresh=full_refresh, verify=verify, window=window, allow_mass_delete=allow_mass_delete)
    try:
        with opened(pipeline, folder) as cycle, progress(pipeline, shown=sys.stderr.isatty() and not as_json) as watch:
            summary = run_cycle(cycle, store_of(state), request, watch)
    except PipelineError as err:
        fail(err, folder, as_json=as_json)
    show_summary(summary, as_json=as_json)


@contextmanager
def progress(title: str, *, shown: bool) -> Iterator[Watch]:
    """Shows on the terminal which step runs and how many of its batches are done; it vanishes at the end."""
    if not shown:
        yield lambda _step, _done, _total: None
        return
    from rich.console import Console  # noqa: PLC0415 - a tenth of a second that only terminals pay
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - as above

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=1)
        yield lambda step, done, total: bar.update(task, description=f"{title}: {step}", completed=done, total=total)


def show_summary(summary: CycleSummary, *, as_json: bool) -> None:
    """Prints what a cycle did."""
    if as_json:
        print_json(summary.to_json())
        return
    values = summary.to_json()
    columns = [(name.replace("_", " "), "right" if isinstance(values[name], int | float) else "left") for name in _SHOWN]
    row = [f"{values[n]:.2f}" if n == "seconds" else f"{values[n]:,}" if isinstance(values[n], int) else str(values[n] or "-") for n in _SHOWN]
    table(f"{summary.pipeline}: {', '.join(summary.reasons) or 'nothing changed'}", columns, [row])
    if summary.held_back_since:
        console().print(f"The window starts again at an older bound next time: transactions open since {summary.held_back_since}.")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(run)
