"""What the benchmarks make of their samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.results import Results, Row
from benchmarks.rows import ROWS
from benchmarks.show import cells

MACHINE = {
    "cpu": "a processor",
    "cores": 2,
    "memory_gib": 24,
    "load_at_start": 0.1,
    "system": "Linux",
    "python": "3.12.1",
    "postgresql": "18.6",
    "elasticsearch": "9.5.3",
    "packages": {"psycopg": "3.3"},
    "commit": "abc",
    "at": "2026-01-01T00:00:00+00:00",
}


def results(*rows: Row) -> Results:
    """Returns the results of a full run."""
    return Results({"name": "full", "shared_buffers": "1GB", "heap": "2g"}, MACHINE, rows)


@pytest.mark.parametrize(
    ("judge", "samples", "judged", "reached"),
    [
        pytest.param(("ratio", 1.15), ([2.0, 9.0, 2.2], [2.0, 2.0, 2.0]), 1.1, True, id="medians, not means"),
        pytest.param(("ratio", 1.15), ([3.0], [2.0]), 1.5, False, id="too slow"),
        pytest.param(("above", 0.5), ([0.9], [0.3]), 0.6, False, id="a difference"),
        pytest.param(("at_most", 10), ([9.0], [0.1]), 9.0, True, id="whatever the baseline took"),
        pytest.param(("bounded", 200), ([100.0], [80.0]), 100.0, False, id="below the limit but growing"),
        pytest.param(("bounded", 200), ([100.0], [95.0]), 100.0, True, id="below the limit, not growing"),
        pytest.param(("none", None), ([1.0], []), None, None, id="no goal"),
    ],
)
def test_goal(judge: tuple[Any, float | None], samples: tuple[list[float], list[float]], judged: float | None, reached: bool | None) -> None:
    """The number that counts, and whether it reaches the goal."""
    row = Row("g", "w", "b", "s", *samples, judge=judge[0], limit=judge[1])
    assert row.judged == (pytest.approx(judged) if judged is not None else None)
    assert row.reached is reached


def test_cells() -> None:
    """A line of the table has numbers with units, and the goal in words."""
    row = Row("incremental", "work", "base", "s", [0.75, 0.85], [0.3, 0.5], judge="above", limit=0.5)
    assert cells(row) == ("work", "0.80 s", "0.40 s", "+0.40 s", "<= 0.5 s above", "yes")


def test_results_come_back_and_groups_are_replaced(tmp_path: Path) -> None:
    """What `--only` measured takes the place of the older rows of the same group, in the table's order."""
    old = results(Row("first_load", "a", "", "s", [1.0]), Row("quiet", "b", "", "ms", [1.0]), Row("quiet", "c", "", "ms", [1.0]))
    old.save(tmp_path / "full.json")
    fresh = results(Row("quiet", "d", "", "ms", [2.0]), Row("compare", "e", "", "s", [2.0]))
    merged = Results.load(tmp_path / "full.json").with_rows(fresh, list(ROWS))
    assert [row.work for row in merged.rows] == ["a", "e", "d"]


def test_report_leaves_prose_alone(tmp_path: Path) -> None:
    """The page is made once; later only what stands between the marks is written."""
    page = tmp_path / "benchmarks.md"
    report.write(results(Row("first_load", "load", "psql | psql", "s", [1.0], [1.0], judge="ratio", limit=1.15)), page)
    page.write_text(page.read_text() + "\nElasticsearch is the limit.\n")
    report.write(results(Row("first_load", "load", "psql | psql", "s", [3.0], [2.0], judge="ratio", limit=1.15)), page)
    text = page.read_text()
    assert text.count("| load | 3.00 s | 2.00 s | 1.50x | <= 1.15x | no |") == 1
    assert "1.00x" not in text
    assert "- first_load: psql \\| psql" in text
    assert text.endswith("\nElasticsearch is the limit.\n")


def test_readme_names_every_group() -> None:
    """Each group of rows is explained."""
    text = (Path(report.__file__).parent / "README.md").read_text()
    assert [name for name in ROWS if f"| `{name}` |" not in text] == []
