"""A pipeline in a real Airflow: from a dropped file over runs, quiet and changed, to the removed file."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from querymirror.records import CycleSummary
from tests.fixtures.fix_deployment import Deployment, wait_until

pytestmark = pytest.mark.acceptance

TASKS = {"detect_changes", "ensure_target", "extract", "upsert", "delete_orphans", "commit"}
CHANGES = """
    UPDATE content.film_work SET title = title || ' II', updated_at = now() WHERE id IN (SELECT id FROM content.film_work ORDER BY id LIMIT 7);
    INSERT INTO content.film_work (id, title, rating, type, created_at, updated_at)
        SELECT gen_random_uuid(), title || ' III', rating, type, now(), now() FROM content.film_work ORDER BY id DESC LIMIT 3;
    DELETE FROM content.film_work WHERE id IN (SELECT id FROM content.film_work ORDER BY title LIMIT 2);
"""


def summary_of(found: CycleSummary | None) -> CycleSummary:
    """Returns a summary that a changed run must have left."""
    assert found is not None, "the run was quiet"
    return found


def test_a_dropped_file_becomes_a_dag_that_keeps_its_target_equal(site: Deployment) -> None:
    """A file is dropped: its DAG appears with no restart, fills the table, and carries updates, inserts and deletes."""
    site.drop("dropped", site.spec("dropped", tags=["films"], owner="analysts"))
    site.api.wait_for_dags(["dropped"])
    assert summary_of(site.cycle("dropped")).upserted == 1000
    site.assert_equal("dropped")
    site.in_source(CHANGES)
    second = summary_of(site.cycle("dropped"))
    site.assert_equal("dropped")
    assert second.deleted == 2
    assert second.upserted in range(8, 11), "seven changed and three new rows, less those deleted again"
    state = site.state("dropped")
    assert state is not None
    assert state.last is not None
    assert state.last.run_id == second.run_id


def test_the_page_of_a_dag_tells_about_its_pipeline(site: Deployment) -> None:
    """Tags, owner, description, documentation with spec and SQL, and the trigger form's params are on the DAG's page."""
    site.install("documented", tags=["films"], owner="analysts", schedule="*/5 * * * *", paused=True)
    dag = site.api.dag("documented")
    assert dag is not None
    assert {tag["name"] for tag in dag["tags"]} == {"films", "querymirror"}
    assert dag["owners"] == ["analysts"]
    assert dag["is_paused"]
    assert (dag["max_active_runs"], dag["catchup"], dag["timetable_summary"]) == (1, False, "*/5 * * * *")
    for part in ("table: analytics.documented", "FROM content.film_work", "What this DAG promises"):
        assert part in dag["doc_md"]
    assert dag["params"]["mode"]["schema"]["enum"] == ["incremental", "full_refresh", "verify"]
    assert set(dag["params"]) == {"mode", "window_low", "window_high", "allow_mass_delete"}


def test_a_quiet_cycle_starts_no_worker(site: Deployment) -> None:
    """Where nothing moved, every task is skipped, none has a process or a worker's log, and the run is a success."""
    site.install("quiet")
    site.cycle("quiet")
    before = site.state("quiet")
    run_id = site.api.trigger("quiet")
    assert site.finish("quiet", run_id) == "success"
    tasks = site.api.tasks("quiet", run_id)
    assert {name: (task["state"], task["pid"]) for name, task in tasks.items()} == dict.fromkeys(TASKS, ("skipped", None))
    logs = Path(site.server.environ["AIRFLOW__LOGGING__BASE_LOG_FOLDER"]) / "dag_id=quiet" / f"run_id={run_id}"
    written = [path.name for path in logs.rglob("*") if path.is_file()]
    assert [name for name in written if ".trigger." not in name] == []
    assert len(written) == 1, "the triggerer says in words what it found"
    assert site.state("quiet") == before


def test_a_paused_pipeline_waits_and_goes_on(site: Deployment) -> None:
    """A run that is asked for while the DAG is paused starts no task; after resume it runs to its end."""
    site.install("paused")
    site.api.set_paused("paused", paused=True)
    run_id = site.api.trigger("paused")
    with pytest.raises(AssertionError, match=r"^waited 4 s for a task to begin"):
        wait_until(lambda: any(task["start_date"] for task in site.api.tasks("paused", run_id).values()), "a task to begin", timeout=4)
    site.api.set_paused("paused", paused=False)
    assert site.finish("paused", run_id) == "success"
    site.assert_equal("paused")


def test_a_window_is_read_again_and_the_state_stays(site: Deployment) -> None:
    """A run with a window repairs the rows whose cursor lies in it, no others, and does not move the state."""
    site.install("windowed")
    site.cycle("windowed")
    (inside,), (outside,) = site.in_source(
        "SELECT id::text FROM ((SELECT id, updated_at FROM content.film_work ORDER BY updated_at, id LIMIT 1) "
        "UNION ALL (SELECT id, updated_at FROM content.film_work ORDER BY updated_at DESC, id LIMIT 1)) f ORDER BY updated_at"
    )
    site.in_source(f"UPDATE content.film_work SET updated_at = now() WHERE id = '{outside}'")
    site.cycle("windowed")
    before = site.state("windowed")
    site.in_target(f"UPDATE analytics.windowed SET title = 'spoiled' WHERE film_id IN ('{inside}', '{outside}')")
    summary = summary_of(site.cycle("windowed", {"window_low": "2006-01-01", "window_high": "2007-01-01"}))
    assert summary.upserted == 1
    assert site.in_target("SELECT film_id::text FROM analytics.windowed WHERE title = 'spoiled'") == [(outside,)]
    assert site.state("windowed") == before
    site.cycle("windowed", {"mode": "verify"})
    site.assert_equal("windowed")


def test_a_mistyped_conf_fails_at_once(site: Deployment) -> None:
    """An unknown key in the conf is named and ends the run on its first try, instead of running without the window."""
    site.install("mistyped")
    run_id = site.api.trigger("mistyped", {"window_from": "2006-01-01"})
    assert site.finish("mistyped", run_id) == "failed"
    assert site.api.tasks("mistyped", run_id)["detect_changes"]["try_number"] == 1
    assert "window_from means nothing here (known: mode, window_low, window_high, allow_mass_delete)." in site.api.failure(site.find("mistyped", run_id))


def test_a_backfill_reads_its_data_interval(site: Deployment) -> None:
    """`airflow backfill create` repairs the rows of each interval and leaves the state alone, beside scheduled runs."""
    site.install("backfilled", schedule="0 0 * * *")
    wait_until(lambda: site.state("backfilled") is not None, "the scheduled run of yesterday's interval")
    (scheduled,) = site.api.runs("backfilled")
    assert site.finish("backfilled", scheduled.run_id) == "success"
    site.assert_equal("backfilled")
    before = site.state("backfilled")
    site.in_target("UPDATE analytics.backfilled SET title = 'spoiled' WHERE updated_at < '2006-02-16'")
    (spoiled,) = site.in_target("SELECT count(*) FROM analytics.backfilled WHERE title = 'spoiled'")[0]
    assert spoiled > 900
    done = site.server.cli("backfill", "create", "--dag-id", "backfilled", "--from-date", "2006-02-14", "--to-date", "2006-02-15")
    assert done.returncode == 0, done.stderr
    runs = {run.run_id: site.api.run("backfilled", run.run_id) for run in site.api.runs("backfilled") if run.run_id.startswith("backfill__")}
    assert sorted(run["data_interval_start"] for run in runs.values()) == ["2006-02-14T00:00:00Z", "2006-02-15T00:00:00Z"]
    assert [site.finish("backfilled", run_id) for run_id in runs] == ["success", "success"]
    found = [summary_of(site.api.summary(site.find("backfilled", run_id))) for run_id in sorted(runs)]
    assert [summary.upserted for summary in found] == [0, spoiled]
    site.assert_equal("backfilled")
    assert site.state("backfilled") == before


def test_a_bad_file_is_seen_and_the_others_go_on(site: Deployment) -> None:
    """A wrong file is a DAG that says file, line and fix and fails with it; corrected it is a pipeline; removed it is gone."""
    site.install("good")
    wrong = copy.deepcopy(site.spec("wrong"))
    wrong["source"]["primary_kee"] = wrong["source"].pop("primary_key")
    path = site.drop("wrong", wrong)
    site.api.wait_for_dags(["wrong"])
    dag = site.api.dag("wrong")
    assert dag is not None
    assert {tag["name"] for tag in dag["tags"]} == {"broken", "querymirror"}
    assert dag["timetable_summary"] is None
    for part in ("include/jobs/wrong.yaml:", "source.primary_kee", "primary_key"):
        assert part in dag["doc_md"]
    assert "include/jobs/wrong.yaml:" in dag["description"]
    run_id = site.api.trigger("wrong")
    assert site.finish("wrong", run_id) == "failed"
    assert "source.primary_kee" in site.api.failure(site.find("wrong", run_id))
    assert summary_of(site.cycle("good")).upserted > 900

    site.drop("wrong", site.spec("wrong"))
    wait_until(lambda: "broken" not in str((site.api.dag("wrong") or {"tags": "broken"})["tags"]), "the corrected spec to be read")
    assert summary_of(site.cycle("wrong")).upserted > 900
    site.assert_equal("wrong")

    path.unlink()
    wait_until(lambda: site.api.dag("wrong") is None, "the DAG of a removed file to go")
    assert site.api.dag("good") is not None


def test_a_pipeline_follows_another(site: Deployment) -> None:
    """A pipeline with `after` runs when the other one changed rows, and not when that one was quiet."""
    site.install("followed")
    site.install("follower", after=["followed"])
    site.cycle("followed")
    wait_until(lambda: bool(site.api.runs("follower")), "the follower's run")
    (run,) = site.api.runs("follower")
    assert run.run_id.startswith("asset_triggered__")
    assert site.finish("follower", run.run_id) == "success"
    site.assert_equal("follower")
    assert site.cycle("followed") is None
    events = site.api.asset_events("followed")
    assert [(event["name"], event["extra"]["upserted"] > 900) for event in events] == [("querymirror://followed", True)]
    assert len(site.api.runs("follower")) == 1
