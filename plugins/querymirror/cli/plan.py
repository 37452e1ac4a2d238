"""`python -m querymirror plan`: a dry run."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from querymirror.cli.output import DIFFERENT, FAILED, fail, line, print_json
from querymirror.cli.session import AllowMassDelete, AsJson, Bounds, FullRefresh, Include, PipelineName, StateFile, Verify, opened, request_of, store_of
from querymirror.errors import PipelineError
from querymirror.plan.sync_plan import PlannedBatch, SyncPlan
from querymirror.records import Sampled
from querymirror.spec.loader import default_include

SHOWN_BATCHES = 5


def plan(
    pipeline: PipelineName,
    *,
    include: Include = None,
    state: StateFile = None,
    full_refresh: FullRefresh = False,
    verify: Verify = False,
    window: Bounds = None,
    allow_mass_delete: AllowMassDelete = False,
    sample: Annotated[int, typer.Option(min=0, max=1000, help="Show so many rows before and after the pipeline's transform.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Show what a run would do: DDL, SQL, windows, and how many rows it would write and delete. Nothing is written.

    Exit status: 0 = nothing to do, 1 = the run would fail, with the reason, 3 = it would change the target.
    """
    folder = include or default_include()
    request = request_of(full_refresh=full_refresh, verify=verify, window=window, allow_mass_delete=allow_mass_delete)
    try:
        with opened(pipeline, folder) as cycle:
            found = cycle.plan(store_of(state).read(cycle.spec.id), request)
            sampled = cycle.sample(sample) if sample else []
    except PipelineError as err:
        fail(err, folder, as_json=as_json)
    if as_json:
        print_json(found.to_json() | ({"transformed": [row.to_json() for row in sampled]} if sample else {}))
    else:
        show_plan(found)
        _show_sampled(sampled)
    if found.refused or found.writes_something:
        raise typer.Exit(FAILED if found.refused else DIFFERENT)


def show_plan(found: SyncPlan) -> None:
    """Prints a plan."""
    line(f"{found.pipeline}: {', '.join(found.reasons) or 'nothing changed'}", bold=True)
    if not found.changed:
        line("A run would stop after this look: nothing is read, nothing is written.")
        return
    if found.statements:
        line(f"\nTarget {found.physical}: {', '.join(found.changes) or 'made ready'}", bold=True)
        _indented(found.statements)
    read = "all of the query" if found.full else "what differs" if found.compared else "windows"
    line(f"\nReads {read} in {len(found.batches)} batch(es)", bold=True)
    for batch in found.batches[:SHOWN_BATCHES]:
        line(f"  {_described(batch)}", colour="cyan")
        _indented([batch.sql])
    if len(found.batches) > SHOWN_BATCHES:
        line(f"  and {len(found.batches) - SHOWN_BATCHES} more")
    if found.writes and (found.upserted or found.deleted):
        line("\nWrites with", bold=True)
        _indented(found.writes)
    if found.samples:
        line("\nDifferent now", bold=True)
        sys.stdout.writelines(f"  {sample}\n" for sample in found.samples)
    _show_numbers(found)


def _show_sampled(rows: list[Sampled]) -> None:
    if rows:
        line("\nBefore and after the transform", bold=True)
    for row in rows:
        line(f"  - {row.before}", colour="bright_black")
        if row.reason:
            line(f"  ! refused: {row.reason}", colour="red")
        else:
            line(f"  + {row.after}" if row.after is not None else "    dropped", colour="green" if row.after is not None else "yellow")


def _show_numbers(found: SyncPlan) -> None:
    at_most = "" if found.exact else "at most "
    deleted = "an unknown number of rows (the target must be adapted first)" if found.deleted is None else _rows(found.deleted)
    colour = "yellow" if found.writes_something else "green"
    line(f"\nWould upsert {at_most}{_rows(found.upserted)} and delete {deleted} in {found.physical}.", colour=colour, bold=True)
    if found.refused:
        line(f"The run would fail: {found.refused}", colour="red")


def _described(batch: PlannedBatch) -> str:
    place = {"range": "key range", "window": "cursor window", "changes": f"changes of {batch.stream}", "buckets": f"{batch.buckets} key buckets"}
    bounds = f" [{batch.window.low or 'start'}, {batch.window.high or 'end'})" if batch.kind != "buckets" else ""
    counted = "" if batch.read is None else f": {_rows(batch.read)}, {batch.upserted:,} of them to write"
    return f"{place.get(batch.kind, batch.kind)}{bounds}{counted}"


def _rows(count: int) -> str:
    return f"{count:,} row" + ("" if count == 1 else "s")


def _indented(texts: tuple[str, ...] | list[str]) -> None:
    for text in texts:
        for part in text.splitlines():
            line(f"    {part}", colour="bright_black")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(plan)
