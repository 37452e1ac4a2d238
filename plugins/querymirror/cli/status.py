"""`python -m querymirror status`: how far every pipeline is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer

from querymirror.cli.output import FAILED, fail, print_json, table
from querymirror.cli.session import AsJson, Include, StateFile, opened_spec, request_of, store_of
from querymirror.errors import PipelineError
from querymirror.facts import Record
from querymirror.spec.loader import default_include, load_all, load_settings
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.settings import Settings
from querymirror.state.base import PipelineState, StateStore

AT_ONCE = 8  # pipelines that are asked at the same time
_COLUMNS = (
    ("pipeline", "left"),
    ("state", "left"),
    ("cursor", "left"),
    ("last change", "left"),
    ("upserted", "right"),
    ("deleted", "right"),
    ("rejected", "right"),
    ("held back since", "left"),
    ("note", "left"),
)


class PipelineStatus(Record):
    """One pipeline's line.

    Attributes:
        state: `up to date` (nothing moved since the last commit), `behind` (a run would do something), `never run`, `broken` (its
            spec), `unreachable` (a server), `committed` (it has run; not asked further).
        cursor: the highest value that was seen and committed.
        last_change: when the last run that changed something ended, ISO 8601.
        upserted, deleted: what that run did.
        rejected: rows kept aside now; None = not asked.
        held_back_since: since when open transactions hold the window's start back.
        note: reasons, or what is wrong.
    """

    pipeline: str
    state: str
    cursor: str | None = None
    last_change: str = ""
    upserted: int | None = None
    deleted: int | None = None
    rejected: int | None = None
    held_back_since: str = ""
    note: str = ""


def status(
    *,
    include: Include = None,
    state: StateFile = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no source and no target.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show all pipelines: state, cursor, last run, what holds them back, rejected rows.

    Exit status: 0 = all specs are good and all servers answered, 1 = not so.
    """
    folder = include or default_include()
    try:
        found = statuses(folder, store_of(state), offline=offline)
    except PipelineError as err:
        fail(err, folder, as_json=as_json)
    if as_json:
        print_json([s.to_json() for s in found])
    else:
        table("", _COLUMNS, [_row(s) for s in found])
    if any(s.state in {"broken", "unreachable"} for s in found):
        raise typer.Exit(FAILED)


def statuses(include: Path, store: StateStore, *, offline: bool) -> list[PipelineStatus]:
    """Returns the status of every pipeline of a folder, by name."""
    loaded, settings = load_all(include), Settings()
    found = [PipelineStatus(pipeline=name, state="broken", note=str(err).splitlines()[0]) for name, err in loaded.broken.items()]
    if loaded.specs:
        settings = load_settings(include)
    # States are read one by one: Airflow's session is not made for threads.
    states = {name: store.read(name) for name in loaded.specs}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found += pool.map(lambda spec: _status(spec, settings, states[spec.id], offline=offline), loaded.specs.values())
    return sorted(found, key=lambda s: s.pipeline)


def _status(spec: PipelineSpec, settings: Settings, state: PipelineState | None, *, offline: bool) -> PipelineStatus:
    known = _committed(spec, state)
    if offline:
        return known
    try:
        with opened_spec(spec, settings) as cycle:
            detection = cycle.detect(state, request_of())
            rejected = len(cycle.target.rejects())
    except PipelineError as err:
        return known.model_copy(update={"state": "unreachable", "note": str(err)})
    now = known.state if state is None else "behind" if detection.changed else "up to date"
    note = "" if state is None else "; ".join(detection.reasons)
    return known.model_copy(update={"state": now, "rejected": rejected, "note": note})


def _committed(spec: PipelineSpec, state: PipelineState | None) -> PipelineStatus:
    if state is None:
        return PipelineStatus(pipeline=spec.id, state="never run")
    main, last = state.streams.get("main"), state.last
    return PipelineStatus(
        pipeline=spec.id,
        state="committed",
        cursor=(main.high or main.low) if main else None,
        last_change=last.finished_at if last else "",
        upserted=last.upserted if last else None,
        deleted=last.deleted if last else None,
        held_back_since=min((s.since for s in state.streams.values() if s.open), default=""),
    )


def _row(one: PipelineStatus) -> list[str]:
    values: dict[str, Any] = one.to_json() | {"last_change": one.last_change[:19], "held_back_since": one.held_back_since[:19]}
    names = ("pipeline", "state", "cursor", "last_change", "upserted", "deleted", "rejected", "held_back_since", "note")
    return [f"{values[n]:,}" if isinstance(values[n], int) else str(values[n] or "-") for n in names]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(status)
