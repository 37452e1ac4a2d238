"""The table for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from benchmarks.results import Results, Row

HEADINGS = ("work", "ours", "baseline", "ratio", "goal", "")


def cells(row: Row) -> tuple[str, ...]:
    """Returns what the table shows of a row."""
    base, ratio = row.baseline_median, row.ratio
    ours, theirs = number(row.median, row.unit), "" if base is None else number(base, row.unit)
    shown = "" if ratio is None else f"{ratio:.2f}x"
    if row.judge == "above" and row.judged is not None:
        shown = f"+{number(row.judged, row.unit)}" if row.judged >= 0 else number(row.judged, row.unit)
    return row.work, ours, theirs, shown, row.goal, {True: "yes", False: "no", None: ""}[row.reached]


def number(value: float, unit: str) -> str:
    """Returns a number with its unit, as exact as it deserves."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3  # noqa: PLR2004 - three figures
    return f"{value:.{digits}f} {unit}"


def show(results: Results, console: Console) -> None:
    """Prints the table and, under it, what else was noted."""
    facts = results.machine
    title = f"{results.profile['name']}: {facts['cores']} x {facts['cpu']}, PostgreSQL {facts['postgresql']}, Elasticsearch {facts['elasticsearch']}"
    table = Table(title=title, title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading in {"ours", "baseline", "ratio"} else "left", no_wrap=heading != "work")
    for row in results.rows:
        table.add_row(*cells(row), style={True: "", False: "red", None: "dim"}[row.reached])
    console.print(table)
    for note in notes(results):
        console.print(note, highlight=False, markup=False)


def notes(results: Results) -> Iterator[str]:
    """Yields a line for each row that has further numbers."""
    for row in results.rows:
        spread = f"{len(row.ours)} times, {number(min(row.ours), row.unit)} to {number(max(row.ours), row.unit)}" if len(row.ours) > 1 else ""
        paired = f"median of paired ratios {row.paired_ratio:.2f}x" if row.paired_ratio is not None and len(row.ours) > 1 else ""
        said = [part for part in (spread, paired, *(f"{name}: {value}" for name, value in row.notes.items())) if part]
        if said:
            yield f"- {row.work}: {'; '.join(said)}"
