"""The tables for people: on the terminal, and in docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.peers.outcomes import OURS, Outcome, PeerResults, Tool
from benchmarks.report import replace_between
from benchmarks.show import number

BEGIN, END = "<!-- peers: written by `python -m benchmarks report` -->", "<!-- /peers -->"
Works = Mapping[str, Mapping[str, Outcome]]


def cell(works: Works, work: str, tool: str) -> str:
    """Returns what a table shows of a tool on a work.

    How often ours fits into its time is told only where its target was equal afterwards; where it was not, what a full load
    costs instead is told.
    """
    outcome, ours = works[work].get(tool), works[work].get(OURS)
    if outcome is None:
        return ""  # it can't do this
    if outcome.median is None:
        return "not measured"
    said = number(outcome.median, "s")
    if tool == OURS or ours is None or ours.median is None:
        return said if not outcome.difference else f"{said}; {outcome.difference}"
    if not outcome.difference:
        return f"{said} ({ratio(outcome.median, ours.median)})"
    full = works[next(iter(works))].get(tool)
    instead = f"; by a full load {number(full.median, 's')} ({ratio(full.median, ours.median)})" if full and full.median and full is not outcome else ""
    return f"{said}, not done: {outcome.difference}{instead}"


def ratio(theirs: float, ours: float) -> str:
    """Returns how many times ours fits into theirs."""
    times = theirs / ours
    return f"{times:.0f}x" if times >= 10 else f"{times:.1f}x"  # noqa: PLR2004 - three figures would claim too much


def grid(works: Works, tools: Mapping[str, Tool]) -> list[list[str]]:
    """Returns headings and lines of a group's table."""
    names = list(dict.fromkeys(name for outcomes in works.values() for name in outcomes))
    lines = [["work", *(tools[name].label for name in names)]]
    return lines + [[work, *(cell(works, work, name) for name in names)] for work in works]


def reasons(results: PeerResults) -> Iterator[str]:
    """Yields a line for each tool that could not be measured, from its first failure."""
    for works in (results.tables, results.documents):
        seen = set[str]()
        for work, outcomes in works.items():
            for name, outcome in outcomes.items():
                if outcome.error and name not in seen:
                    seen.add(name)
                    yield f'- {results.tools[name].label} not measured from "{work}" on: {outcome.error}'


def used(results: PeerResults) -> Iterator[str]:
    """Yields repetitions, spread, CPU and memory of each work."""
    for works in (results.tables, results.documents):
        for work, outcomes in works.items():
            parts = []
            for name, outcome in outcomes.items():
                if outcome.seconds and not outcome.error:
                    client = [f"CPU {number(median(outcome.cpu), 's')}", *(f"{peak:.0f} MB" for peak in (median(outcome.peak_mb),) if peak)]
                    times = ", ".join(f"{value:.2f}" for value in outcome.seconds)
                    parts.append(f"{results.tools[name].label} {times} s ({', '.join(client)})")
            yield f"- {work}: {'; '.join(parts)}"


def show(results: PeerResults, console: Console) -> None:
    """Prints the tables, and what could not be measured."""
    for works in (results.tables, results.documents):
        if works:
            headings, *lines = grid(works, results.tools)
            table = Table(*headings)
            for cells in lines:
                table.add_row(*cells)
            console.print(table)
    for line in (*reasons(results), *used(results)):
        console.print(line, highlight=False, markup=False)


def write(results: PeerResults, page: Path) -> None:
    """Replaces what stands between the two marks of a page."""
    replace_between(page, BEGIN, END, markdown(results))


def markdown(results: PeerResults) -> str:
    """Returns machine, tables and what each tool does not do."""
    facts = results.machine
    lines = [
        f"Measured {facts['at'][:10]} at commit `{facts['commit']}`, profile `{results.profile['name']}`: {facts['cores']} cores of {facts['cpu']},",
        f"{facts['memory_gib']} GiB, {facts['system']}, PostgreSQL {facts['postgresql']} (fsync on, wal_level=logical for pgsync),",
        f"Elasticsearch {facts['elasticsearch']}, {machine.before(facts)}. Seconds of the",
        "whole process; in brackets, how many times ours.",
    ]
    for works in (results.tables, results.documents):
        if works:
            headings, *rows = grid(works, results.tools)
            lines += ["", _line(headings), _line(["---", *["---:"] * (len(headings) - 1)]), *map(_line, rows)]
    failed = list(reasons(results))
    lines += ["", *failed] if failed else []
    lines += ["", "| tool | run as | what it does not do, or needs |", "| --- | --- | --- |"]
    lines += [_line([tool.label, tool.setting, "; ".join(tool.lacks)]) for tool in results.tools.values()]
    return "\n".join([*lines, "", "Further numbers:", "", *used(results)])


def _line(cells: list[str]) -> str:
    escaped = (text.replace("|", chr(92) + "|") for text in cells)
    return f"| {' | '.join(escaped)} |"
