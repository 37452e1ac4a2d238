"""`python -m benchmarks.peers`: the same works with other tools."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import machine
from benchmarks.peers.contender import Contender
from benchmarks.peers.documents import DOCUMENTS
from benchmarks.peers.outcomes import FILE, OURS, Outcome, PeerResults
from benchmarks.peers.shown import show
from benchmarks.peers.tables import TABLES, TableContender
from benchmarks.peers.works import FAILURES, Work, document_works, measure, table_works
from benchmarks.peers.yard import Yard
from benchmarks.profiles import FULL, PROFILES, QUICK

HERE = Path(__file__).resolve().parent.parent
NAMES = tuple(dict.fromkeys(one.tool.name for one in (*TABLES, *DOCUMENTS) if one.tool.name != OURS))
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)
console = Console(width=180, soft_wrap=False)


@app.command()
def peers(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the rows.")] = False,
    profile: Annotated[str, typer.Option(help=f"One of: {', '.join(PROFILES)}.")] = FULL.name,
    only: Annotated[str, typer.Option(help=f"Tools beside ours, with commas: {', '.join(NAMES)}.")] = "",
    root: Annotated[Path, typer.Option(help="Folder of servers and virtual environments.")] = HERE.parent / ".stack" / "bench",
    results: Annotated[Path, typer.Option(help="Folder of the numbers.")] = FILE.parent,
) -> None:
    """Measure ours and other tools on the same servers in turn, show tables and keep the numbers as JSON.

    Exit status: 0 = done, 1 = ours could not be measured; a tool that could not is a line in the table, with the reason.
    """
    chosen = QUICK if quick else PROFILES.get(profile)
    names = [name.strip() for name in only.split(",")] if only else list(NAMES)
    unknown = [name for name in names if name not in NAMES]
    if chosen is None or unknown:
        typer.echo(f"Unknown: {', '.join(unknown) or profile}. Tools: {', '.join(NAMES)}; profiles: {', '.join(PROFILES)}.", err=True)
        raise typer.Exit(2)
    file = results / (FILE.name if chosen is FULL and not only else f"peers-{chosen.name}.local.json")
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that servers and tools are stopped on the way out
    found = measured(Yard(root / f"peers-{chosen.name}", chosen, say), [OURS, *names], file)
    show(found, console)
    console.print(f"kept in {file}", highlight=False)
    if any(outcomes[OURS].error for works in (found.tables, found.documents) for outcomes in works.values()):
        raise typer.Exit(1)


def measured(yard: Yard, names: Sequence[str], file: Path) -> PeerResults:
    """Does all works; what is known is in the file after each step."""
    yard.close()  # what an interrupted run left
    try:
        facts = machine.facts(str(yard.execute("source", "SHOW server_version")[0][0]))
        found = PeerResults(asdict(yard.profile), facts)
        for group, kinds, works in ((found.tables, TABLES, table_works), (found.documents, DOCUMENTS, document_works)):
            kept = [kind for kind in kinds if kind.tool.name in names]
            if len(kept) > 1:
                _group(found, [kind(yard) for kind in kept], works(yard), group, lambda: found.save(file))
        return found
    finally:
        yard.close()


def _group(found: PeerResults, ones: Sequence[Contender], works: Sequence[Work], group: dict[str, dict[str, Outcome]], save: Callable[[], None]) -> None:
    """Installs the tools and does the works; a tool that fails once takes no further part."""
    found.tools.update((one.tool.name, one.tool) for one in ones if one.tool.name not in found.tools)
    try:
        failed = _installed(ones)
        for work in works:
            say(work.name)
            outcomes = group[work.name] = {}

            def done(name: str, outcome: Outcome, into: dict[str, Outcome] = outcomes) -> None:
                into[name] = outcome
                save()

            measure(work, ones, failed, done)
            if work.kind != "resident":
                failed |= {name: outcome.error for name, outcome in outcomes.items() if outcome.error}
            if work.kind == "first":
                _forms(found, ones, failed)
    finally:
        _close(ones)


def _installed(ones: Sequence[Contender]) -> dict[str, str]:
    """Returns why some can't be had here."""
    failed = {}
    for one in ones:
        say(f"preparing {one.tool.label}")
        try:
            one.install()
        except FAILURES as err:
            failed[one.tool.name] = f"not installed: {' '.join(str(err).split())}"
            say(failed[one.tool.name])
    return failed


def _forms(found: PeerResults, ones: Sequence[Contender], failed: dict[str, str]) -> None:
    """Adds what of types and key a tool's table has lost to what it does not do."""
    for one in ones:
        if isinstance(one, TableContender) and one.tool.name not in failed and (lost := one.form()):
            tool = found.tools[one.tool.name]
            found.tools[one.tool.name] = replace(tool, lacks=(f"the table is not the source's: {', '.join(lost)}", *tool.lacks))


def _close(ones: Sequence[Contender]) -> None:
    for one in ones:
        try:
            one.close()
        except FAILURES as err:
            say(f"{one.tool.name}: {' '.join(str(err).split())}")


def say(what: str) -> None:
    """Shows what is being done."""
    console.print(what, style="dim", highlight=False, markup=False)


if __name__ == "__main__":
    app()
