"""`python -m querymirror rejects`: rows that a target refused and that were kept aside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from querymirror.cli.output import DIFFERENT, fail, line, print_json, table, wrong_usage
from querymirror.cli.session import AsJson, Include, PipelineName, opened, request_of
from querymirror.errors import PipelineError
from querymirror.records import Reject
from querymirror.spec.loader import default_include
from querymirror.sync.cycle import Cycle

SHOWN = 50


def rejects(
    pipeline: PipelineName,
    *,
    include: Include = None,
    replay: Annotated[bool, typer.Option("--replay", help="Read the rows again as the source has them now, and try again.")] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Forget them.")] = False,
    key: Annotated[list[str] | None, typer.Option(help="Only the row of this key, as listed; may be repeated.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """List the rows that the target refused, with the reason; try them again, or forget them.

    Exit status: 0 = done, 1 = it failed, 2 = no such key, 3 = after --replay, the target refuses some of them still.
    """
    if replay and drop:
        wrong_usage("Give one of --replay and --drop.")
    folder = include or default_include()
    try:
        with opened(pipeline, folder) as cycle:
            before = _chosen(cycle.target.rejects(), key)
            if replay:
                _replay(cycle, before, as_json=as_json)
            elif drop:
                dropped = cycle.target.drop_rejects([r.key for r in before]) if before else 0
                _told({"dropped": dropped}, f"{dropped:,} row(s) forgotten.", as_json=as_json)
            else:
                _show(cycle.spec.id, before, as_json=as_json)
    except PipelineError as err:
        fail(err, folder, as_json=as_json)


def _chosen(letters: Sequence[Reject], keys: Sequence[str] | None) -> list[Reject]:
    known = {letter.key for letter in letters}
    unknown = [k for k in keys or () if k not in known]
    if unknown:
        wrong_usage(f"No rejected row has the key {', '.join(unknown)}. Rejected: {', '.join(sorted(known)[:10]) or 'none'}.")
    return [letter for letter in letters if not keys or letter.key in keys]


def _replay(cycle: Cycle, letters: Sequence[Reject], *, as_json: bool) -> None:
    result = cycle.replay(request_of(), [r.key for r in letters])
    passed = len(letters) - result.rejected
    said = f"{passed:,} of {len(letters):,} went through or are gone from the query, {result.rejected:,} are refused still."
    _told({"replayed": len(letters), "passed": passed, "rejected": result.rejected}, said, as_json=as_json)
    if result.rejected:
        raise typer.Exit(DIFFERENT)


def _told(value: object, said: str, *, as_json: bool) -> None:
    if as_json:
        print_json(value)
    else:
        line(said)


def _show(pipeline: str, letters: Sequence[Reject], *, as_json: bool) -> None:
    if as_json:
        print_json([letter.to_json() for letter in letters])
        return
    if not letters:
        line(f"{pipeline}: no rejected rows.", colour="green")
        return
    rows = [[r.key, r.reason, r.at[:19], r.row if len(r.row) <= 120 else f"{r.row[:117]}..."] for r in letters[:SHOWN]]  # noqa: PLR2004 - what fits a screen
    table(f"{pipeline}: {len(letters):,} rejected", [("key", "left"), ("reason", "left"), ("at", "left"), ("row", "left")], rows)
    if len(letters) > SHOWN:
        line(f"and {len(letters) - SHOWN:,} more; --json lists all")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(rejects)
