"""The results of the trials as a table, on the screen and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.report import replace_between

BEGIN, END = "<!-- measured: written by `python -m benchmarks report` -->", "<!-- /measured -->"
TABLES_BEGIN, TABLES_END = "<!-- tables: written by `python -m benchmarks report` -->", "<!-- /tables -->"
_CYCLES = {
    "quiet": "quiet",
    "changed": "1,000 rows changed",
    "deleted": "10 rows deleted",
    "compared": "full comparison, nothing differs",
    "first_load": "first load",
}
SERVERS = ("metadata database", "source and target")


def table(results: Mapping[str, Any], console: Console) -> None:
    """Prints one column a trial."""
    shown = Table(title="Many pipelines", title_justify="left")
    shown.add_column("")
    columns = [rows(result) for result in results.values()]
    for name, result in results.items():
        shown.add_column(name + ("" if result["complete"] else " (not complete)"), justify="right")
    for name in _names(columns):
        shown.add_row(name, *(column.get(name, "") for column in columns))
    console.print(shown)


def markdown(results: Mapping[str, Any]) -> str:
    """Returns machine and table as Markdown."""
    names = [name for name, result in results.items() if result["complete"]]
    columns = {name: rows(results[name]) for name in names}
    facts: dict[str, Any] = next((results[name]["machine"] for name in names), {})
    airflow = facts.get("packages", {}).get("apache-airflow")
    lines = [
        f"Measured {str(facts.get('at'))[:10]} at commit `{facts.get('commit')}`: {facts.get('cores')} cores of {facts.get('cpu')},",
        f"{facts.get('memory_gib')} GiB, Python {facts.get('python')}, PostgreSQL {facts.get('postgresql')}, Airflow {airflow}, all on this one machine.",
        "",
        f"| | {' | '.join(names)} |",
        f"| --- |{' ---: |' * len(names)}",
    ]
    return "\n".join([*lines, *(f"| {row} | {' | '.join(columns[name].get(row, '') for name in names)} |" for row in _names(columns.values()))])


def _names(columns: Iterable[Mapping[str, str]]) -> list[str]:
    return list(dict.fromkeys(name for column in columns for name in column))


def write(results: Mapping[str, Any], page: Path) -> None:
    """Replaces the measured part of a page."""
    replace_between(page, BEGIN, END, markdown(results))


def tables_markdown(results: Mapping[str, Any]) -> str:
    """Returns what cycles of tables of several sizes cost, as Markdown."""
    facts, tables = results["machine"], results["tables"]
    sizes = [f"{table['rows']:,} rows" for table in tables]
    lines = [
        f"Measured {facts['at'][:10]} at commit `{facts['commit']}`, {machine.before(facts)}: seconds, and in",
        "brackets CPU seconds of the process and of PostgreSQL, which holds source and target.",
        "",
        f"| cycle | {' | '.join(sizes)} |",
        f"| --- |{' ---: |' * len(tables)}",
    ]
    for name, shown in _CYCLES.items():
        lines.append(f"| {shown} | {' | '.join(_cost(table[name]) for table in tables)} |")
    return "\n".join(lines)


def write_tables(results: Mapping[str, Any], page: Path) -> None:
    """Replaces the part of a page that is about the size of tables."""
    replace_between(page, TABLES_BEGIN, TABLES_END, tables_markdown(results))


def _cost(cycle: Mapping[str, float]) -> str:
    return f"{cycle['seconds']:.2f} ({cycle['cpu']:.2f} + {cycle['server_cpu']:.2f})"


def rows(result: Mapping[str, Any]) -> dict[str, str]:
    """Returns what is shown of a trial, by its name in words."""
    if "runs" not in result:
        return {}
    runs, lag, cores, parsing = result["runs"], result["lag_seconds"], result["cores"], result["parsing"]
    airflow = sum(used for name, used in cores.items() if name not in SERVERS)
    new_file = result["new_file_seconds"]
    found = {
        "minutes of schedule": f"{result['minutes']:.0f}",
        "runs due / found / in their interval": f"{runs['expected']} / {runs['found']} / {runs['in_time']}",
        "failed": str(runs["failed"]),
        "runs that committed something": str(runs["runs_with_work"]),
        "worker processes started": str(runs["worker_processes"]),
        "due to end: median / 95 % / most": f"{lag['median']:.1f} / {lag['p95']:.1f} / {lag['max']:.1f} s",
        "cores in the mean, all": f"{sum(cores.values()):.2f}",
        "- Airflow's processes": f"{airflow:.2f}",
    }
    found |= {f"- {name}": f"{used:.2f}" for name, used in cores.items()}
    found |= {
        "CPU of a run, all": f"{result['cpu_seconds_per_run']:.3f} s",
        "logins to source / target": f"{result['logins'].get('source', 0)} / {result['logins'].get('target', 0)}",
        "parsing all pipelines (DAG processor)": f"{result['dag_processor_parse_seconds'] or 0:.2f} s",
        "building / serializing all, in one process": f"{parsing['build_all']:.2f} / {parsing['serialize_all']:.2f} s",
        "a task's own parsing": f"{parsing['build_one'] * 1000:.0f} ms",
        "a new file is seen after": "not in time" if new_file is None else f"{new_file:.0f} s",
        "memory, all": f"{sum(result['memory_mib'].values()):.0f} MiB",
        "a stored DAG / Airflow's database": f"{result['dag_bytes'] / 1024:.1f} kB / {result['metadata_mib']:.0f} MiB",
    }
    if yardstick := result.get("yardstick"):
        quarter = max(len(yardstick) // 4, 1)
        found["a fixed piece of work beside it, first / last quarter"] = f"{median(yardstick[:quarter]):.2f} / {median(yardstick[-quarter:]):.2f} s of CPU"
    if "targets_that_differ" in result:
        found["targets that differ from their source at the end"] = str(result["targets_that_differ"])
    return found
