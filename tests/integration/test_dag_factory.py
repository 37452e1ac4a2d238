"""DAGs made of specs, as the dag-processor and the scheduler see them; no Airflow process runs."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.sdk import DAG, Asset, AssetAny, AssetOrTimeSchedule
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.definitions.retry_policy import RetryAction
from airflow.serialization.serialized_objects import DagSerialization

from querymirror.dag_factory import BROKEN_TASK, build_dags
from querymirror.errors import MassDeleteError, RecordError, SchemaError, TerminalError, TransientError
from querymirror.operators.retry import PipelineRetryPolicy
from tests.fixtures.fix_stack import CHECKOUT

pytestmark = pytest.mark.integration

SPEC: dict[str, Any] = {
    "source": {"conn_id": "movies_db", "query": "SELECT id, updated_at FROM content.film_work", "primary_key": ["id"], "cursor_column": "updated_at"},
    "target": {"type": "postgres", "conn_id": "analytics_db", "table": "analytics.films"},
}
FLOW = ["detect_changes", "ensure_target", "extract", "upsert", "delete_orphans", "commit"]


@pytest.fixture
def include(tmp_path: Path) -> Path:
    """An include folder with settings and no spec."""
    (tmp_path / "include" / "jobs").mkdir(parents=True)
    shutil.copy(CHECKOUT / "include" / "settings.yaml", tmp_path / "include")
    return tmp_path / "include"


def drop(include: Path, pipeline: str, **fields: Any) -> None:
    """Puts a spec file into the include folder."""
    (include / "jobs" / f"{pipeline}.yaml").write_text(yaml.safe_dump({**SPEC, **fields}))


def dags(include: Path, only: str | None = None) -> dict[str, DAG]:
    """Returns the DAGs of the folder by id."""
    return {dag.dag_id: dag for dag in build_dags(include, only=only)}


def test_a_dag_has_the_tasks_of_a_cycle_in_their_order(include: Path) -> None:
    """One spec is one DAG of six tasks, one run at a time, no catch-up, five-minute data intervals."""
    drop(include, "films")
    dag = dags(include)["films"]
    assert [task.task_id for task in dag.topological_sort()] == FLOW  # type: ignore[no-untyped-call]
    assert (dag.max_active_runs, dag.catchup, dag.is_paused_upon_creation) == (1, False, False)
    assert dag.timetable.expression == "*/5 * * * *"  # type: ignore[union-attr]


def test_fields_of_the_spec_reach_the_dag(include: Path) -> None:
    """Schedule, tags, owner, pause, retries and parallelism are those of the spec."""
    drop(include, "films", schedule="0 3 * * *", tags=["a"], owner="ann", paused=True, retries=4, retry_delay=2, parallelism=5)
    dag = dags(include)["films"]
    upsert = dag.get_task("upsert")
    assert isinstance(upsert, MappedOperator)
    assert (dag.tags, dag.owner, dag.is_paused_upon_creation) == ({"a", "querymirror"}, "ann", True)
    assert dag.timetable.expression == "0 3 * * *"  # type: ignore[union-attr]
    assert upsert.max_active_tis_per_dagrun == 5
    assert {task.retries for task in dag.tasks} == {4}
    assert all(isinstance(task.retry_policy, PipelineRetryPolicy) and task.retry_policy.delay == 2 for task in dag.tasks)


def test_no_schedule_is_by_hand_only(include: Path) -> None:
    """A null schedule makes a DAG that never runs by itself."""
    drop(include, "films", schedule=None)
    assert not dags(include)["films"].timetable.can_be_scheduled


def test_a_followed_pipeline_is_waited_for(include: Path) -> None:
    """`after` adds the other pipelines' assets to the schedule; any of them starts a run."""
    drop(include, "first")
    drop(include, "second", after=["first"], target={**SPEC["target"], "table": "analytics.second"})
    timetable = dags(include)["second"].timetable
    assert isinstance(timetable, AssetOrTimeSchedule)
    assert isinstance(timetable.asset_condition, AssetAny)
    assert [asset.name for asset in timetable.asset_condition.objects if isinstance(asset, Asset)] == ["querymirror://first"]


def test_a_watched_source_starts_cycles_beside_schedule_and_followed_pipelines(include: Path) -> None:
    """`watch` adds an asset with a watcher to the schedule, with and without one; such a pipeline detects on a worker, seconds sooner."""
    drop(include, "first", watch="2s")
    drop(include, "second", watch="1m", schedule=None, after=["first"], target={**SPEC["target"], "table": "analytics.second"})
    found = dags(include)
    first, second = found["first"].timetable, found["second"].timetable
    assert isinstance(first, AssetOrTimeSchedule)
    assert isinstance(first.asset_condition, AssetAny)
    (source,) = first.asset_condition.objects
    assert isinstance(source, Asset)
    (watcher,) = source.watchers
    classpath, kwargs = watcher.trigger.serialize()
    assert (classpath, kwargs["pipeline"], kwargs["seconds"]) == ("querymirror.triggers.watch.SourceWatcher", "first", 2.0)
    assert isinstance(second.asset_condition, AssetAny)
    assert [asset.name for asset in second.asset_condition.objects if isinstance(asset, Asset)] == ["querymirror://first", "querymirror://second/source"]
    assert not found["first"].get_task("detect_changes").start_from_trigger
    DagSerialization.from_dict(DagSerialization.to_dict(found["second"]))


def test_a_dag_survives_serialization(include: Path) -> None:
    """What the scheduler reads back starts in the triggerer, maps upsert over extract, and is the same at every parse."""
    drop(include, "films")
    once, again = (DagSerialization.to_dict(dags(include)["films"]) for _ in range(2))
    assert once == again
    read = DagSerialization.from_dict(once)
    detect = read.get_task("detect_changes")
    assert detect.start_from_trigger
    assert detect.start_trigger_args is not None
    assert detect.start_trigger_args.trigger_cls == "querymirror.triggers.source_changed.SourceChangedTrigger"
    assert read.get_task("upsert").is_mapped
    assert str(read.get_task("delete_orphans").trigger_rule) == "none_failed_min_one_success"
    assert {task.task_id: task.has_retry_policy for task in read.tasks} == dict.fromkeys(FLOW, True)


def test_a_quiet_run_is_skipped_in_one_step(include: Path) -> None:
    """Every task follows detect_changes directly: the scheduler hands a skip on by one edge a loop, and a thousand quiet runs wait for each."""
    drop(include, "films")
    followers = {task.task_id for task in dags(include)["films"].get_task("detect_changes").get_direct_relatives()}
    assert followers == set(FLOW) - {"detect_changes"}


def test_params_are_the_dags_alone(include: Path) -> None:
    """No task carries a copy of the run's params, which Airflow would check again at each parse; the trigger form still has all of them."""
    drop(include, "films")
    dag = dags(include)["films"]
    assert set(dag.params) == {"mode", "window_low", "window_high", "allow_mass_delete"}
    assert [task.task_id for task in dag.tasks if task.params] == []
    read = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert dict(read.params.dump()) == {"mode": "incremental", "window_low": None, "window_high": None, "allow_mass_delete": False}


def test_a_bad_spec_is_a_dag_that_says_so(include: Path) -> None:
    """A file that can't be used is a DAG of one task with the problem in its documentation; the others are whole."""
    drop(include, "good")
    drop(include, "bad", retrys=1, target={**SPEC["target"], "table": "analytics.bad"})
    found = dags(include)
    bad = found["bad"]
    assert set(found) == {"good", "bad"}
    assert [task.task_id for task in bad.tasks] == [BROKEN_TASK]
    assert bad.tags == {"querymirror", "broken"}
    assert not bad.timetable.can_be_scheduled
    assert "retrys: there is no such field" in (bad.doc_md or "")
    assert "include/jobs/bad.yaml:" in (bad.description or "")
    DagSerialization.to_dict(bad)


def test_what_airflow_refuses_is_a_broken_dag_too(include: Path) -> None:
    """A spec that passes our rules and not Airflow's takes no other pipeline away."""
    drop(include, "good")
    drop(include, "long", tags=["x" * 101], target={**SPEC["target"], "table": "analytics.long"})
    found = dags(include)
    assert len(found["good"].tasks) == 6
    assert "long" in found
    assert "broken" in found["long"].tags


def test_a_task_process_reads_its_own_spec_only(include: Path) -> None:
    """With a DAG id only that file is read: another one may be unreadable meanwhile."""
    drop(include, "mine")
    (include / "jobs" / "other.yaml").write_bytes(b"\xff\xfe: not YAML: [")
    assert set(dags(include, only="mine")) == {"mine"}
    assert dags(include, only="gone")["gone"].tags == {"querymirror", "broken"}


def test_the_dag_file_builds_the_shipped_pipelines() -> None:
    """Every shipped spec is a whole DAG with its SQL in the documentation."""
    found = dags(CHECKOUT / "include")
    assert {len(dag.tasks) for dag in found.values()} == {6}
    assert "CREATE TABLE IF NOT EXISTS analytics.film_rentals" in (found["film_rentals"].doc_md or "")
    assert "Keys to read again: person" in (found["movies"].doc_md or "")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(TransientError("server restarting"), [1, 2, 4], id="may pass"),
        pytest.param(ConnectionResetError(), [1, 2, 4], id="unknown to us"),
        pytest.param(TerminalError("no"), None, id="terminal"),
        pytest.param(SchemaError("no"), None, id="schema"),
        pytest.param(MassDeleteError("p", orphans=9, total=10, share=0.5), None, id="mass delete"),
        pytest.param(RecordError("p", rejected=1, samples=[("1", "bad")]), None, id="refused rows"),
    ],
)
def test_what_may_pass_is_tried_again_after_1_2_and_4_seconds(error: Exception, expected: list[int] | None) -> None:
    """The class of an error decides: exact, doubled waits, or none at all."""
    policy = PipelineRetryPolicy.deserialize(PipelineRetryPolicy(retries=3, delay=1).serialize())
    decisions = [policy.evaluate(error, number, 3) for number in (1, 2, 3)]
    if expected is None:
        assert {decision.action for decision in decisions} == {RetryAction.FAIL}
    else:
        assert [decision.retry_delay for decision in decisions] == [timedelta(seconds=seconds) for seconds in expected]


def test_a_cleared_task_begins_its_waits_anew() -> None:
    """Airflow counts the tries of a cleared task on; the waits are those of a first attempt again."""
    policy = PipelineRetryPolicy(retries=2, delay=1)
    assert policy.evaluate(TransientError("x"), 4, 5).retry_delay == timedelta(seconds=1)
