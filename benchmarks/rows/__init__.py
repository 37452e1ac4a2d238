"""The works that are measured: one function a group of rows, by the name that `--only` takes, in the order of the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.results import Row
from benchmarks.rows.checks import orphans, quiet
from benchmarks.rows.documents import documents, renamed
from benchmarks.rows.processes import cycles, memory, start
from benchmarks.rows.tables import compare, first_load, incremental, parallel
from benchmarks.stage import Stage

ROWS: Mapping[str, Callable[[Stage], list[Row]]] = {
    "first_load": first_load,
    "parallel": parallel,
    "compare": compare,
    "incremental": incremental,
    "orphans": orphans,
    "quiet": quiet,
    "documents": documents,
    "renamed": renamed,
    "memory": memory,
    "start": start,
    "cycles": cycles,
}
