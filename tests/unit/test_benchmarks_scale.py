"""What the trials of many pipelines make of Airflow's runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.scale import report
from benchmarks.scale.fleet import Plan
from benchmarks.scale.metadata import Run, in_time

pytestmark = pytest.mark.unit

DUE = datetime(2026, 1, 1, tzinfo=UTC)


def result(**changes: Any) -> dict[str, Any]:
    """Returns what a trial keeps."""
    found: dict[str, Any] = {
        "complete": True,
        "machine": {"at": "2026-01-01T00:00:00+00:00", "commit": "abc", "packages": {"apache-airflow": "3.3.2"}},
        "minutes": 60.0,
        "runs": {"expected": 12, "found": 12, "success": 12, "failed": 0, "in_time": 11, "worker_processes": 0, "runs_with_work": 0},
        "lag_seconds": {"median": 3.0, "p95": 4.0, "max": 5.0},
        "cores": {"scheduler": 0.2, "triggerer": 0.1, "metadata database": 0.1, "source and target": 0.05},
        "cpu_seconds_per_run": 0.1,
        "logins": {"source": 5, "target": 6},
        "parsing": {"build_all": 1.0, "serialize_all": 2.0, "build_one": 0.004},
        "dag_processor_parse_seconds": 6.0,
        "new_file_seconds": None,
        "memory_mib": {"scheduler": 100.0, "triggerer": 50.0},
        "dag_bytes": 4096.0,
        "metadata_mib": 20.0,
    }
    return found | changes


@pytest.mark.parametrize(
    ("state", "seconds", "counted"),
    [
        pytest.param("success", 300, 1, id="at the last moment"),
        pytest.param("success", 301, 0, id="late"),
        pytest.param("failed", 3, 0, id="failed"),
        pytest.param("running", None, 0, id="not done"),
    ],
)
def test_only_a_success_within_the_interval_is_in_time(state: str, seconds: int | None, counted: int) -> None:
    """A run counts when it succeeded before the next one was due."""
    ended = None if seconds is None else DUE + timedelta(seconds=seconds)
    assert in_time([Run("films", DUE, DUE, ended, state)], timedelta(minutes=5)) == counted


def test_what_a_plan_expects() -> None:
    """An hour of a five-minute schedule is twelve runs of each pipeline."""
    assert Plan("1000 quiet", 1000, 0, 60).runs == 12_000


def test_rows_say_what_was_missed() -> None:
    """The table counts runs in words, adds up cores, and says so where a new file was not seen."""
    rows = report.rows(result())
    assert rows["runs due / found / in their interval"] == "12 / 12 / 11"
    assert (rows["cores in the mean, all"], rows["- Airflow's processes"]) == ("0.45", "0.30")
    assert rows["a new file is seen after"] == "not in time"


def test_a_trial_says_how_fast_the_machine_was() -> None:
    """Medians of the first and of the last quarter, for a machine may become slower; older results say nothing of it."""
    rows = report.rows(result(yardstick=[0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.4, 0.4]))
    assert rows["a fixed piece of work beside it, first / last quarter"] == "0.10 / 0.40 s of CPU"
    assert not any("fixed piece" in row for row in report.rows(result()))


def test_the_page_shows_complete_trials_only_and_keeps_the_rest(tmp_path: Path) -> None:
    """The measured part is replaced, what people wrote around it stays, and an interrupted trial is left out."""
    page = tmp_path / "scaling.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    report.write({"1000 quiet": result(), "200 changing": result(complete=False)}, page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "| | 1000 quiet |" in text
    assert "200 changing" not in text


def test_tables_of_several_sizes_stand_side_by_side(tmp_path: Path) -> None:
    """A column a size, a row a kind of cycle, with the CPU of both sides; what stands around it stays."""
    cycle = {"seconds": 1.5, "cpu": 0.25, "server_cpu": 0.5}
    kinds = ("quiet", "changed", "deleted", "compared", "first_load")
    tables = [{"rows": size, **dict.fromkeys(kinds, cycle)} for size in (10_000, 1_000_000)]
    page = tmp_path / "scaling.md"
    page.write_text(f"before\n{report.TABLES_BEGIN}\n{report.TABLES_END}\nafter\n", encoding="utf-8")
    report.write_tables({"machine": result()["machine"] | {"load_at_start": 0.1}, "tables": tables}, page)
    text = page.read_text(encoding="utf-8")
    assert "| cycle | 10,000 rows | 1,000,000 rows |" in text
    assert "| quiet | 1.50 (0.25 + 0.50) | 1.50 (0.25 + 0.50) |" in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
