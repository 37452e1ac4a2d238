"""`watch` in a real Airflow: a commit in the source starts a cycle, with no schedule, through pauses and lost sessions."""

from __future__ import annotations

import pytest

from tests.fixtures.fix_deployment import Deployment, wait_until

pytestmark = pytest.mark.acceptance

SESSIONS = """
    SELECT pid FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'querymirror watch' AND state = 'idle' AND xact_start IS NULL AND backend_xmin IS NULL
"""


def sessions(site: Deployment) -> list[int]:
    """Returns the process ids of idle watchers' sessions in the source, without a transaction or a snapshot."""
    return [pid for (pid,) in site.in_source(SESSIONS)]


def filled(site: Deployment, pipeline: str) -> None:
    """Waits until a pipeline's first cycle, which nobody asked for, is over."""
    # the first trigger of a triggerer and the first task of an api-server are slow
    wait_until(lambda: site.state(pipeline) is not None, f"{pipeline} to be filled", timeout=150)
    wait_until(lambda: {run.state for run in site.api.runs(pipeline)} == {"success"}, f"the runs of {pipeline} to end")


def change(site: Deployment, title: str) -> None:
    """Commits a changed title in the source."""
    site.in_source(f"UPDATE content.film_work SET title = '{title}', updated_at = now() WHERE id = (SELECT min(id::text)::uuid FROM content.film_work)")


def arrives(site: Deployment, pipeline: str, title: str) -> None:
    """Waits until a title is in a pipeline's table and its run is over."""
    found = f"SELECT 1 FROM analytics.{pipeline} WHERE title = '{title}'"
    wait_until(lambda: bool(site.in_target(found)), f"{title} in {pipeline}")
    wait_until(lambda: all(run.state == "success" for run in site.api.runs(pipeline)), f"the runs of {pipeline} to end")
    site.assert_equal(pipeline)


def test_a_commit_starts_a_cycle_and_one_session_serves_all(site: Deployment) -> None:
    """With no schedule, two pipelines are filled and carry commits; they share one idle session, which may be ended at any time."""
    for pipeline, seconds in {"watched_a": "1s", "watched_b": "2s"}.items():
        site.drop(pipeline, site.spec(pipeline, watch=seconds))
    site.api.wait_for_dags(["watched_a", "watched_b"])
    for pipeline in ("watched_a", "watched_b"):
        filled(site, pipeline)
    wait_until(lambda: len(sessions(site)) == 1, "the session of the watchers")
    (before,) = sessions(site)
    change(site, "watched once")
    for pipeline in ("watched_a", "watched_b"):
        arrives(site, pipeline, "watched once")
    assert sessions(site) == [before]
    site.in_source(f"SELECT pg_terminate_backend({before})")
    change(site, "watched again")
    for pipeline in ("watched_a", "watched_b"):
        arrives(site, pipeline, "watched again")
        assert {site.api.run(pipeline, run.run_id)["run_type"] for run in site.api.runs(pipeline)} == {"asset_triggered"}
    wait_until(lambda: len(sessions(site)) == 1, "one session again")
    assert sessions(site) != [before]


def test_a_paused_pipeline_queues_nothing_and_catches_up(site: Deployment) -> None:
    """While the DAG is paused its watcher ends and no run is made; after resume what was committed meanwhile arrives."""
    site.install("watched_c", watch="1s")
    filled(site, "watched_c")
    site.api.set_paused("watched_c", paused=True)
    wait_until(lambda: not sessions(site), "the watcher to end")
    before = len(site.api.runs("watched_c"))
    change(site, "while paused")
    with pytest.raises(AssertionError, match=r"^waited 4 s for a run"):
        wait_until(lambda: len(site.api.runs("watched_c")) > before, "a run", timeout=4)
    site.api.set_paused("watched_c", paused=False)
    arrives(site, "watched_c", "while paused")
