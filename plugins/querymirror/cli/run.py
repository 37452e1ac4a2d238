"""`python -m querymirror run`: one cycle in this process, the same steps as the DAG's tasks."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from querymirror.connections import address_from_env
from querymirror.errors import PipelineError, SpecError
from querymirror.records import CycleSummary, RunRequest, Window
from querymirror.runtime import open_cycle
from querymirror.spec.loader import default_include, find_spec, load_settings
from querymirror.state.base import StateStore
from querymirror.state.memory import FileStateStore
from querymirror.sync.cycle import run_cycle

_SHOWN = ("outcome", "read", "upserted", "unchanged", "deleted", "rejected", "seconds", "cursor_before", "cursor_after")


def run(
    pipeline: Annotated[str, typer.Argument(help="A pipeline's id in include/jobs, or a spec file.")],
    *,
    include: Annotated[Path | None, typer.Option(help="Another include folder.")] = None,
    state: Annotated[Path | None, typer.Option(help="Keep the state in this file instead of Airflow Variables.")] = None,
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Read the whole query again.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Compare source and target by content and repair what differs.")] = False,
    window: Annotated[
        tuple[str, str] | None, typer.Option(metavar="LOW HIGH", help="Read the rows with low <= cursor < high; the state does not move.")
    ] = None,
    allow_mass_delete: Annotated[bool, typer.Option("--allow-mass-delete", help="Delete more than max_delete_share allows.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Run one cycle of a pipeline in this process, with no scheduler.

    Connections come from AIRFLOW_CONN_<ID>. Exit status: 0 = the target equals the query, 1 = it failed, with the error.
    """
    folder = include or default_include()
    mode = "full_refresh" if full_refresh else "verify" if verify else "incremental"
    bounds = Window(low=window[0], high=window[1]) if window else None
    request = RunRequest(run_id=f"cli__{datetime.now(UTC).isoformat()}", mode=mode, window=bounds, allow_mass_delete=allow_mass_delete)
    try:
        spec = find_spec(pipeline, folder)
        source, target = address_from_env(spec.source.conn_id), address_from_env(spec.target.conn_id)
        with open_cycle(spec, source=source, target=target, settings=load_settings(folder)) as cycle:
            summary = run_cycle(cycle, _store(state), request)
    except PipelineError as err:
        _fail(err, as_json=as_json)
    else:
        _show(summary, as_json=as_json)


def _store(path: Path | None) -> StateStore:
    if path is not None:
        return FileStateStore(path)
    # Imported here: Airflow takes seconds, and a run with --state needs none of it.
    from querymirror.state.variables import VariableStateStore  # noqa: PLC0415

    return VariableStateStore()


def _fail(err: PipelineError, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({"error": type(err).__name__, "message": str(err)}) + "\n")
    else:
        sys.stderr.write(f"{type(err).__name__}: {err}\n" if not isinstance(err, SpecError) else f"{err}\n")
    raise typer.Exit(1)


def _show(summary: CycleSummary, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(summary.to_json()) + "\n")
        return
    from rich.console import Console  # noqa: PLC0415 - a tenth of a second that --json does not pay
    from rich.table import Table  # noqa: PLC0415

    table = Table(title=f"{summary.pipeline}: {', '.join(summary.reasons) or 'nothing changed'}", title_justify="left")
    values = summary.to_json()
    for name in _SHOWN:
        table.add_column(name.replace("_", " "), justify="right" if isinstance(values[name], int | float) else "left")
    table.add_row(
        *(f"{values[name]:.2f}" if name == "seconds" else f"{values[name]:,}" if isinstance(values[name], int) else str(values[name] or "-") for name in _SHOWN)
    )
    Console().print(table)
    if summary.held_back_since:
        Console().print(f"The window starts again at an older bound next time: transactions open since {summary.held_back_since}.")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(run)
