"""Failed and late runs in a real Airflow: who is told, and what stands in the pipeline's file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.fixtures.fix_deployment import FILMS, Deployment, wait_until

pytestmark = pytest.mark.acceptance


@pytest.fixture
def told(site: Deployment, tmp_path: Path) -> Iterator[Path]:
    """A folder in which notifiers and error files write; the deployment's settings are as before after the test."""
    settings = site.include / "settings.yaml"
    before = settings.read_text(encoding="utf-8")
    notifier = {"path": "told_by_file.FileNotifier", "kwargs": {"file": str(tmp_path / "told"), "text": "{{ dag_run.dag_id }} {{ dag_run.run_id }}"}}
    added = {"error_log_dir": str(tmp_path / "errors"), "on_failure": {"file": notifier}}
    settings.write_text(yaml.safe_dump(yaml.safe_load(before) | added), encoding="utf-8")
    yield tmp_path
    settings.write_text(before, encoding="utf-8")


def test_late_and_failed_runs_are_told(site: Deployment, told: Path) -> None:
    """A run whose source can't be reached is told as late while it tries again, once as failed when it gave up, and each try stands in the file."""
    source = {"conn_id": "nowhere_db", "query": FILMS, "primary_key": ["film_id"]}
    site.install("unreachable", source=source, retries=1, retry_delay=8, deadline=2)
    run_id = site.api.trigger("unreachable")
    log = told / "errors" / "unreachable.log"
    wait_until(lambda: log.exists() and "is behind" in log.read_text(encoding="utf-8"), "the run to be told as late")
    assert site.finish("unreachable", run_id) == "failed"
    wait_until((told / "told").exists, "the run to be told as failed")
    # The notifier lies beside the DAG files, where the dag-processor finds it, which tells failures.
    assert (told / "told").read_text(encoding="utf-8") == f"unreachable {run_id}\n"
    lines = log.read_text(encoding="utf-8").splitlines()
    assert [line.split(": ")[0].split(" ", 1)[1] for line in lines] == [
        *([f"unreachable deadline run={run_id}"] if "is behind" in lines[0] else []),
        f"unreachable detect_changes run={run_id} try=1",
        *([f"unreachable deadline run={run_id}"] if "is behind" in lines[1] else []),
        f"unreachable detect_changes run={run_id} try=2",
    ]
    assert f"unreachable is behind: run {run_id} was not done 2 s after it was queued." in log.read_text(encoding="utf-8")
    assert all("TransientError: nowhere_db:" in line for line in lines if "detect_changes" in line)
