"""`python -m benchmarks`: measures and shows; `python -m benchmarks report`: writes docs/benchmarks.md."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.console import Console

from benchmarks import freshness, machine, report
from benchmarks.peers import outcomes as peers
from benchmarks.peers import shown
from benchmarks.peers.outcomes import PeerResults
from benchmarks.processes import CommandError
from benchmarks.profiles import FULL, PROFILES, QUICK, Profile
from benchmarks.results import Results, Row
from benchmarks.rows import ROWS
from benchmarks.scale import report as scale_report
from benchmarks.show import show
from benchmarks.stage import Stage
from devstack.errors import DevstackError
from querymirror.errors import PipelineError

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
SCALE, SCALE_PAGE = HERE / "results" / "scale.json", HERE.parent / "docs" / "scaling.md"
TABLES = HERE / "results" / "tables.json"
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help="Measures the product against the limit of its servers.")
console = Console(width=160, soft_wrap=False)


def results_file(profile: Profile, folder: Path) -> Path:
    """Returns where a profile's results are kept; only those of the full one are worth a commit."""
    return folder / (f"{profile.name}.json" if profile is FULL else f"{profile.name}.local.json")


@app.callback(invoke_without_command=True)
def measure(
    context: typer.Context,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the rows, in under three minutes.")] = False,
    profile: Annotated[str, typer.Option(help=f"One of: {', '.join(PROFILES)}.")] = FULL.name,
    only: Annotated[str, typer.Option(help=f"Groups of rows, with commas: {', '.join(ROWS)}.")] = "",
    root: Annotated[Path, typer.Option(help="Folder of the servers, removed in the end.")] = HERE.parent / ".stack" / "bench",
    results: Annotated[Path, typer.Option(help="Folder of the numbers.")] = HERE / "results",
    keep: Annotated[bool, typer.Option("--keep", help="Leave servers and data where they are.")] = False,
) -> None:
    """Measure, show a table and keep the numbers as JSON."""
    if context.invoked_subcommand is not None:
        return
    chosen = QUICK if quick else PROFILES.get(profile)
    groups = [name.strip() for name in only.split(",")] if only else list(ROWS)
    unknown = [name for name in groups if name not in ROWS]
    if chosen is None or unknown:
        typer.echo(f"Unknown: {', '.join(unknown) or profile}. Groups: {', '.join(ROWS)}; profiles: {', '.join(PROFILES)}.", err=True)
        raise typer.Exit(2)
    measured, failed = _measured(Stage(root / chosen.name, chosen, _say), groups, keep=keep)
    path = results_file(chosen, results)
    kept = Results.load(path).with_rows(measured, list(ROWS)) if path.is_file() and only else measured
    kept.save(path)
    show(measured, console)
    console.print(f"kept in {path}", highlight=False)
    if failed:
        typer.echo("Failed:\n" + "\n".join(failed), err=True)
        raise typer.Exit(1)


@app.command("report")
def write_report() -> None:
    """Write the measured parts of docs/benchmarks.md from the results of the full profile, and of the other tools where they were measured."""
    path = results_file(FULL, HERE / "results")
    if not path.is_file():
        typer.echo(f"{path} is not there. Run make bench first.", err=True)
        raise typer.Exit(1)
    report.write(Results.load(path), PAGE)
    if peers.FILE.is_file():
        shown.write(PeerResults.load(peers.FILE), PAGE)
    if freshness.FILE.is_file():
        freshness.write(Results.load(freshness.FILE), PAGE)
    typer.echo(f"wrote {PAGE}")
    if SCALE.is_file():
        scale_report.write(json.loads(SCALE.read_text(encoding="utf-8")), SCALE_PAGE)
        typer.echo(f"wrote {SCALE_PAGE}")
    if TABLES.is_file():
        scale_report.write_tables(json.loads(TABLES.read_text(encoding="utf-8")), SCALE_PAGE)


def _measured(stage: Stage, groups: list[str], *, keep: bool) -> tuple[Results, list[str]]:
    """Returns what could be measured, and why the other groups could not."""
    stage.close()  # what an interrupted run left
    try:
        facts = machine.facts(str(stage.execute("source", "SHOW server_version")[0][0]))
        rows: list[Row] = []
        failed: list[str] = []
        for number, name in enumerate(groups, 1):
            _say(f"[{number}/{len(groups)}] {name}: {(ROWS[name].__doc__ or '').splitlines()[0]}")
            try:
                rows += ROWS[name](stage)
            except (CommandError, PipelineError, DevstackError, psycopg.Error) as err:
                failed.append(f"{name}: {type(err).__name__}: {err}")
                _say(failed[-1])
        return Results(asdict(stage.profile), facts, rows), failed
    finally:
        if not keep:
            stage.close()


def _say(what: str) -> None:
    console.print(what, style="dim", highlight=False, markup=False)


if __name__ == "__main__":
    app()
