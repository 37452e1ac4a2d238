"""What goes wrong while a DAG runs: a killed task, a source that is down, a spec that changes, a state that can't be read."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from tests.fixtures.fix_deployment import Deployment, wait_until

pytestmark = pytest.mark.acceptance

TOUCH = "UPDATE content.film_work SET rating = coalesce(rating, 0) + 0.1, updated_at = now() WHERE id IN (SELECT id FROM content.film_work LIMIT 5)"


@contextmanager
def locked(site: Deployment, table: str) -> Iterator[None]:
    """Holds a lock under which a table can be read, but not written."""
    with psycopg.connect(site.target_dsn) as conn:
        conn.execute(f"LOCK TABLE analytics.{table} IN SHARE MODE".encode())
        yield


def running(site: Deployment, pipeline: str, run_id: str, task_id: str) -> dict[str, Any]:
    """Waits until a task runs and returns it."""
    wait_until(lambda: site.api.tasks(pipeline, run_id).get(task_id, {}).get("state") == "running", f"{task_id} to run")
    wait_until(lambda: bool(site.api.tasks(pipeline, run_id)[task_id]["pid"]), f"the process of {task_id}")
    return site.api.tasks(pipeline, run_id)[task_id]


def test_a_killed_task_is_run_again(site: Deployment) -> None:
    """A task killed in the middle of its work is tried again within seconds, and the target ends equal."""
    site.install("killed")
    site.cycle("killed")
    site.in_source(TOUCH)
    with locked(site, "killed"):
        run_id = site.api.trigger("killed")
        os.kill(running(site, "killed", run_id, "upsert")["pid"], signal.SIGKILL)
        wait_until(lambda: site.api.tasks("killed", run_id)["upsert"]["try_number"] == 2, "the second try")
    assert site.finish("killed", run_id) == "success"
    site.assert_equal("killed")


def test_a_source_that_is_down_is_tried_three_times(site: Deployment) -> None:
    """An error that may pass is tried again after 1 s and after 2 s, then the run fails with it; nothing is written."""
    spec = site.spec("unreachable")
    site.install("unreachable", source={**spec["source"], "conn_id": "nowhere_db"})
    run_id = site.api.trigger("unreachable")
    assert site.finish("unreachable", run_id) == "failed"
    tries = site.api.tries("unreachable", run_id, "detect_changes")
    moments = [(datetime.fromisoformat(t["start_date"]), datetime.fromisoformat(t["end_date"])) for t in tries]
    waits = [(after[0] - before[1]).total_seconds() for before, after in pairwise(moments)]
    assert len(waits) == 2
    assert waits[0] >= 1
    assert waits[1] >= 2
    assert sum(waits) < 60  # Airflow's own wait is five minutes a try
    assert "nowhere_db" in site.api.failure(site.find("unreachable", run_id))
    assert site.state("unreachable") is None


def test_a_spec_that_changes_under_a_run_stops_it(site: Deployment) -> None:
    """A run whose spec is edited midway fails on the first try, its state stays, and the next run uses the new spec."""
    site.install("edited")
    site.cycle("edited")
    before = site.state("edited")
    site.in_source(TOUCH)
    with locked(site, "edited"):
        run_id = site.api.trigger("edited")
        running(site, "edited", run_id, "upsert")
        site.drop("edited", site.spec("edited", batch_size=100))
    assert site.finish("edited", run_id) == "failed"
    failed = [task for task in site.api.tasks("edited", run_id).values() if task["state"] == "failed"]
    assert [task["try_number"] for task in failed] == [1], "the first task to read the new file, and only once"
    assert "the spec changed under this run; the state did not move." in site.api.failure(site.find("edited", run_id))
    assert site.state("edited") == before
    site.cycle("edited")
    site.assert_equal("edited")


def test_a_variable_that_holds_no_state_is_not_taken_for_none(site: Deployment) -> None:
    """A state that was damaged by hand fails the run with its name and a fix; deleting it fills the target anew."""
    site.install("damaged")
    site.cycle("damaged")
    site.api.set_variable("querymirror:damaged", "{}")
    run_id = site.api.trigger("damaged")
    assert site.finish("damaged", run_id) == "failed"
    assert site.api.tasks("damaged", run_id)["detect_changes"]["try_number"] == 1
    assert "the Variable 'querymirror:damaged' does not hold a state" in site.api.failure(site.find("damaged", run_id))
    site.api.set_variable("querymirror:damaged", None)
    summary = site.cycle("damaged")
    assert summary is not None
    assert any("no state" in reason for reason in summary.reasons)
    site.assert_equal("damaged")
