"""The table of how soon a commit is in the target."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import freshness
from benchmarks.results import Results, Row
from tests.unit.test_benchmarks import MACHINE

pytestmark = pytest.mark.unit


def test_the_table_is_written_between_its_marks(tmp_path: Path) -> None:
    """Writing again replaces the table; what stands around it stays, and whether the goal is reached is told."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{freshness.BEGIN}\n{freshness.END}\nafter\n", encoding="utf-8")
    machine = MACHINE | {"packages": {"apache-airflow": "3.3.2"}}
    for samples in ([9.0, 9.0], [3.0, 4.0]):
        row = Row("freshness", "work", "", "s", samples, judge="at_most", limit=freshness.GOAL, notes={"sessions": "1 for 5 pipelines"})
        freshness.write(Results({"name": "freshness"}, machine, [row]), page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- freshness")
    assert text.endswith("<!-- /freshness -->\nafter\n")
    assert text.count("| work |") == 2
    assert "| work | 3.50 s | <= 5 s | yes |" in text
    assert "- work: 2 times, 3.00 s to 4.00 s; sessions: 1 for 5 pipelines" in text
