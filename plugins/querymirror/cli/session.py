"""What most commands need: a pipeline's steps, its state, a request. Airflow is imported only where its Variables are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from querymirror.cli.output import wrong_usage
from querymirror.connections import address_from_env
from querymirror.records import Mode, RunRequest, Window
from querymirror.runtime import open_cycle
from querymirror.spec.loader import find_spec, load_settings
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.settings import Settings
from querymirror.state.base import StateStore
from querymirror.state.memory import FileStateStore
from querymirror.sync.cycle import Cycle

PipelineName = Annotated[str, typer.Argument(help="A pipeline's id in include/jobs, or a spec file.")]
Include = Annotated[Path | None, typer.Option(help="The include folder; $QUERYMIRROR_INCLUDE or ./include when left out.", show_default=False)]
StateFile = Annotated[Path | None, typer.Option(help="The file that holds the state, instead of Airflow Variables.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]
FullRefresh = Annotated[bool, typer.Option("--full-refresh", help="Read the whole query again.")]
Verify = Annotated[bool, typer.Option("--verify", help="Compare source and target by content and repair what differs.")]
Bounds = Annotated[
    tuple[str, str] | None,
    typer.Option("--window", metavar="LOW HIGH", help="Read the rows with low <= cursor < high; the state does not move.", show_default=False),
]
AllowMassDelete = Annotated[bool, typer.Option("--allow-mass-delete", help="Delete more than max_delete_share allows.")]


def request_of(*, full_refresh: bool = False, verify: bool = False, window: tuple[str, str] | None = None, allow_mass_delete: bool = False) -> RunRequest:
    """Returns what a run is asked to do.

    Raises:
        typer.Exit: two of full refresh, verify and window are asked for.
    """
    if full_refresh + verify + (window is not None) > 1:
        wrong_usage("Give one of --full-refresh, --verify and --window.")
    mode: Mode = "full_refresh" if full_refresh else "verify" if verify else "incremental"
    bounds = Window(low=window[0], high=window[1]) if window else None
    return RunRequest(run_id=f"cli__{datetime.now(UTC).isoformat()}", mode=mode, window=bounds, allow_mass_delete=allow_mass_delete)


def store_of(path: Path | None) -> StateStore:
    """Returns where states are kept: a file, or Airflow Variables."""
    if path is not None:
        return FileStateStore(path)
    # Imported here: Airflow takes seconds, and a command with --state needs none of it.
    from querymirror.state.variables import VariableStateStore  # noqa: PLC0415

    return VariableStateStore()


@contextmanager
def opened(pipeline: str, include: Path) -> Iterator[Cycle]:
    """Opens a pipeline's steps by its name.

    Raises:
        PipelineError: there is none, it is wrong, or one of its connections isn't set.
    """
    with opened_spec(find_spec(pipeline, include), load_settings(include)) as cycle:
        yield cycle


@contextmanager
def opened_spec(spec: PipelineSpec, settings: Settings) -> Iterator[Cycle]:
    """Opens a spec's steps; its connections come from AIRFLOW_CONN_<ID>.

    Raises:
        TerminalError: a connection isn't set, or the target isn't allowed.
    """
    source, target = address_from_env(spec.source.conn_id), address_from_env(spec.target.conn_id)
    with open_cycle(spec, source=source, target=target, settings=settings) as cycle:
        yield cycle
