"""`python -m querymirror verify`: source and target compared by content."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from querymirror.cli.output import DIFFERENT, fail, line, print_json
from querymirror.cli.run import progress
from querymirror.cli.session import AllowMassDelete, AsJson, Include, PipelineName, StateFile, opened, request_of, store_of
from querymirror.errors import PipelineError
from querymirror.records import CycleSummary
from querymirror.spec.loader import default_include
from querymirror.sync.cycle import run_cycle


def verify(
    pipeline: PipelineName,
    *,
    include: Include = None,
    state: StateFile = None,
    allow_mass_delete: AllowMassDelete = False,
    as_json: AsJson = False,
    no_repair: Annotated[bool, typer.Option("--no-repair", help="Only say what differs; write nothing.")] = False,
) -> None:
    """Compare every row of source and target by content, repair what differs, and name it.

    Exit status: 0 = they were equal, 1 = it failed, 3 = they differed.
    """
    folder = include or default_include()
    request = request_of(verify=True, allow_mass_delete=allow_mass_delete)
    try:
        with opened(pipeline, folder) as cycle, progress(pipeline, shown=sys.stderr.isatty() and not as_json) as watch:
            if no_repair:
                found = cycle.plan(store_of(state).read(cycle.spec.id), request)
                summary = CycleSummary(pipeline=cycle.spec.id, run_id=request.run_id, mode="verify", reasons=found.reasons, compared=True)
                summary = summary.model_copy(update={"upserted": found.upserted, "deleted": found.deleted or 0, "samples": found.samples})
            else:
                summary = run_cycle(cycle, store_of(state), request, watch)
    except PipelineError as err:
        fail(err, folder, as_json=as_json)
    _show(summary, as_json=as_json, repaired=not no_repair)
    if summary.upserted or summary.deleted or summary.rejected:
        raise typer.Exit(DIFFERENT)


def _show(summary: CycleSummary, *, as_json: bool, repaired: bool) -> None:
    if as_json:
        print_json({"equal": not (summary.upserted or summary.deleted or summary.rejected), "repaired": repaired, **summary.to_json()})
        return
    if not (summary.upserted or summary.deleted or summary.rejected):
        line(f"{summary.pipeline}: source and target are equal.", colour="green")
        return
    done = "repaired" if repaired else "nothing was written"
    line(f"{summary.pipeline}: {summary.upserted:,} missing or different, {summary.deleted:,} orphans; {done}.", colour="yellow", bold=True)
    sys.stdout.writelines(f"  {sample}\n" for sample in summary.samples)
    if summary.rejected:
        line(f"{summary.rejected:,} rows were refused by the target: python -m querymirror rejects {summary.pipeline}", colour="red")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(verify)
