"""Writes the measured part of docs/benchmarks.md; what people wrote around it stays."""

from __future__ import annotations

from pathlib import Path

from benchmarks import machine
from benchmarks.results import Results
from benchmarks.show import HEADINGS, cells, notes

BEGIN, END = "<!-- measured: written by `python -m benchmarks report` -->", "<!-- /measured -->"


def write(results: Results, page: Path) -> None:
    """Replaces what stands between the two marks of a page, or makes the page."""
    if not page.is_file():
        page.write_text(_page(), encoding="utf-8")
    replace_between(page, BEGIN, END, measured(results))


def replace_between(page: Path, begin: str, end: str, text: str) -> None:
    """Replaces what stands between two marks of a page; a page without them gets it at its end."""
    head, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, _, tail = rest.partition(end)
    page.write_text(f"{head}{begin}\n{text}\n{end}{tail}", encoding="utf-8")


def measured(results: Results) -> str:
    """Returns machine, table and notes as Markdown."""
    facts = results.machine
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    lines = [
        f"Measured {facts['at'][:10]} at commit `{facts['commit']}`, profile `{results.profile['name']}`: {facts['cores']} cores of {facts['cpu']},",
        f"{facts['memory_gib']} GiB, {facts['system']}, Python {facts['python']}, PostgreSQL {facts['postgresql']} (fsync on,",
        f"shared_buffers {results.profile['shared_buffers']}), Elasticsearch {facts['elasticsearch']} (heap {results.profile['heap']}),",
        f"{machine.before(facts)}. {packages}.",
        "",
        f"| {' | '.join(HEADINGS[:-1])} | reached |",
        "| --- | ---: | ---: | ---: | --- | --- |",
        *(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells(row))} |" for row in results.rows),
        "",
        "Baselines:",
        "",
        *dict.fromkeys(f"- {row.name}: {row.baseline.replace('|', chr(92) + '|')}" for row in results.rows if row.baseline),
        "",
        "Further numbers:",
        "",
        *notes(results),
    ]
    return "\n".join(lines)


def _page() -> str:
    return f"""# Benchmarks

What the product costs, against the limit of its servers, measured in the same run on the same servers in turn. `benchmarks/README.md` says
how to run and to read it.

## Against the limit

{BEGIN}
{END}

## What bounds each row now
"""
