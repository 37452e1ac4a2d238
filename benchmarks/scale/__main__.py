"""`python -m benchmarks.scale`: many pipelines for an hour of schedule; keeps the numbers and shows them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console

from benchmarks import machine
from benchmarks.scale.fleet import Fleet, Plan
from benchmarks.scale.report import table
from benchmarks.scale.trial import Trial
from devstack.errors import DevstackError
from querymirror.errors import PipelineError

HERE = Path(__file__).resolve().parents[1]
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help="Measures many pipelines on one Airflow.")
console = Console(width=160, soft_wrap=False)


@app.command()
def measure(
    *,
    quiet: Annotated[int, typer.Option(help="Pipelines of the trial in which nothing changes; 0 leaves it out.")] = 1000,
    minutes: Annotated[int, typer.Option(help="Minutes of schedule that trial is watched for, after its start has settled.")] = 60,
    changing: Annotated[int, typer.Option(help="Pipelines of the trial in which each has a changed row in every interval; 0 leaves it out.")] = 200,
    changing_minutes: Annotated[int, typer.Option(help="Minutes of that trial.")] = 15,
    schedule: Annotated[str, typer.Option(help="Of all pipelines, as in a spec.")] = "H/5 * * * *",
    interval: Annotated[int, typer.Option(help="Minutes between two runs by that schedule.")] = 5,
    setting: Annotated[list[str] | None, typer.Option(help="NAME=VALUE: a further environment variable of Airflow; may be repeated.")] = None,
    root: Annotated[Path, typer.Option(help="Folder of the servers, removed in the end.")] = HERE.parent / ".stack" / "scale",
    results: Annotated[Path, typer.Option(help="File of the numbers; trials of other names in it stay.")] = HERE / "results" / "scale.json",
    keep: Annotated[bool, typer.Option("--keep", help="Leave servers and data where they are.")] = False,
) -> None:
    """Build pipelines, run them on a schedule of their own Airflow, and say what they cost and whether all came in time."""
    if minutes % interval or changing_minutes % interval:
        message = f"the minutes must be a multiple of {interval}"
        raise typer.BadParameter(message)
    extra = dict(pair.partition("=")[::2] for pair in setting or ())
    plans = [
        Plan(f"{quiet} quiet", quiet, 0, minutes, schedule, interval, extra),
        Plan(f"{changing} changing", changing, changing, changing_minutes, schedule, interval, extra),
    ]
    failed = []
    for plan in plans:
        if plan.pipelines:
            failed += _measured(Fleet(root / plan.name.replace(" ", "-"), plan, _say), results, keep=keep)
    if results.is_file():
        table(json.loads(results.read_text(encoding="utf-8")), console)
        console.print(f"kept in {results}", highlight=False)
    if failed:
        typer.echo("Failed:\n" + "\n".join(failed), err=True)
        raise typer.Exit(1)


def _measured(fleet: Fleet, results: Path, *, keep: bool) -> list[str]:
    """Runs one trial; returns why it failed, nothing where it did not."""
    fleet.close()  # what an interrupted run left
    facts: dict[str, Any] = {}

    def note(found: dict[str, Any]) -> None:
        known = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else {}
        known[fleet.plan.name] = found | {"machine": facts}
        results.parent.mkdir(parents=True, exist_ok=True)
        results.write_text(json.dumps(known, indent=1), encoding="utf-8")

    try:
        with psycopg.connect(fleet.data.dsn()) as conn:
            row = conn.execute("SHOW server_version").fetchone()
        facts.update(machine.facts(str(row[0]) if row else ""))
        Trial(fleet, note).run()
    except (DevstackError, PipelineError, psycopg.Error, OSError) as err:
        _say(f"{fleet.plan.name}: {type(err).__name__}: {err}")
        return [f"{fleet.plan.name}: {type(err).__name__}: {err}"]
    else:
        return []
    finally:
        if not keep:
            fleet.close()


def _say(what: str) -> None:
    console.print(f"{datetime.now(UTC):%H:%M:%S} {what}", style="dim", highlight=False, markup=False)


if __name__ == "__main__":
    app()
