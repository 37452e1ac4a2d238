"""PipelineSpec -> Airflow DAG: detect, ensure, extract, upsert (mapped), delete orphans, commit."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

from airflow.sdk import (
    DAG,
    AssetAny,
    AssetOrTimeSchedule,
    BaseOperator,
    Context,
    CronDataIntervalTimetable,
    Param,
    TriggerRule,
)
from airflow.sdk.bases.timetable import BaseTimetable
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference
from airflow.sdk.exceptions import AirflowFailException

from querymirror.dag_docs import describe_broken, describe_pipeline
from querymirror.errors import Problem, SpecError
from querymirror.operators.alerts import MISSED_DEADLINE, FailureNotifier
from querymirror.operators.base import COMMIT, DETECT, ENSURE, EXTRACT, ORPHANS, UPSERT
from querymirror.operators.commit import CommitOperator, pipeline_alias, pipeline_asset
from querymirror.operators.detect import DetectChangesOperator
from querymirror.operators.ensure import EnsureTargetOperator
from querymirror.operators.extract import ExtractOperator
from querymirror.operators.orphans import DeleteOrphansOperator
from querymirror.operators.retry import PipelineRetryPolicy
from querymirror.operators.upsert import UpsertOperator
from querymirror.records import Mode
from querymirror.spec.loader import find_spec, load_all, load_settings
from querymirror.spec.pipeline import PipelineSpec
from querymirror.triggers.watch import watched_asset

# fixed, so that a DAG's serialized form never changes by itself; with catchup off nothing before "now" is run
START = datetime(2024, 1, 1, tzinfo=UTC)
BROKEN_TASK = "spec_error"
TAG = "querymirror"


@contextmanager
def collector_resting() -> Iterator[None]:
    """Lets Python look for no garbage while DAGs are built, nor ever again in what is there by then.

    A thousand DAGs are a million objects and no garbage; the process that parses them looked through all of them again and again, and through
    what it inherited from the one that forked it. It ends when it has handed its DAGs on.
    """
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if on:
            gc.enable()


def build_dags(include: Path, *, only: str | None = None) -> Iterator[DAG]:
    """Yields one DAG for each spec file, a broken one for each file that is wrong.

    Args:
        include: folder that holds jobs/, sql/ and settings.yaml.
        only: a DAG id; just this one file is read then (a task process needs no other).

    Raises:
        SpecError: settings.yaml is wrong, so no pipeline may write anything.
    """
    if only is None:
        loaded = load_all(include)
        specs, broken = loaded.specs, loaded.broken
    else:
        specs, broken = _load_one(only, include)
    tell_failures = bool(specs and load_settings(include).on_failure)
    for spec in specs.values():
        yield _build_or_explain(spec, include, tell_failures=tell_failures)
    for pipeline, error in broken.items():
        yield build_broken_dag(pipeline, error, include)


def build_dag(spec: PipelineSpec, include: Path, *, tell_failures: bool = False) -> DAG:
    """Returns the DAG of a pipeline; its id is the pipeline's. `tell_failures`: the settings name notifiers for failed runs."""
    with DAG(
        dag_id=spec.id,
        description=spec.description or None,
        schedule=_schedule(spec),
        start_date=START,
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=spec.paused,
        tags=sorted({TAG, *spec.tags}),
        default_args=_task_args(spec),
        doc_md=describe_pipeline(spec, include),
        deadline=_deadline(spec),
        on_failure_callback=FailureNotifier(spec.id) if tell_failures else None,
    ) as dag:
        _add_tasks(spec)
    # After the tasks: each of them would get a copy, and Airflow checks every copy's JSON schema several times at each parse, three quarters of its time.
    dag.params.update(_params(spec))
    return dag


def build_broken_dag(pipeline: str, error: SpecError, include: Path) -> DAG:
    """Returns the DAG that stands for a spec that can't be used: it never runs by itself, says why, and fails with it."""
    with DAG(
        dag_id=pipeline,
        description=f"Broken spec: {error.problems[0] if error.problems else error}",
        schedule=None,
        start_date=START,
        catchup=False,
        is_paused_upon_creation=False,
        tags=[TAG, "broken"],
        doc_md=describe_broken(pipeline, error, include),
    ) as dag:
        BrokenSpecOperator(task_id=BROKEN_TASK, message=str(error), retries=0)
    return dag


class BrokenSpecOperator(BaseOperator):
    """Fails with what is wrong with a spec.

    Args:
        message: all problems of the file.
    """

    ui_color = "#fde0dc"

    def __init__(self, *, message: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.message = message

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow passes it
        """Fails, without a retry."""
        raise AirflowFailException(self.message)


def _load_one(pipeline: str, include: Path) -> tuple[dict[str, PipelineSpec], dict[str, SpecError]]:
    try:
        return {pipeline: find_spec(pipeline, include)}, {}
    except SpecError as err:
        return {}, {pipeline: err}


def _build_or_explain(spec: PipelineSpec, include: Path, *, tell_failures: bool) -> DAG:
    try:
        return build_dag(spec, include, tell_failures=tell_failures)
    except Exception as err:  # noqa: BLE001 - Airflow's own checks raise what they like; one spec must not take the others away
        file = f"{include.name}/jobs/{spec.id}.yaml"
        problem = Problem(file, 0, "", f"Airflow refuses a DAG of it ({type(err).__name__}: {err}).", "Correct the field it names.")
        return build_broken_dag(spec.id, SpecError([problem]), include)


def _add_tasks(spec: PipelineSpec) -> None:
    # who watches wants seconds, and its runs seldom find nothing
    detect = DetectChangesOperator(task_id=DETECT, pipeline=spec.id, in_triggerer=spec.watch is None)
    ensure = EnsureTargetOperator(task_id=ENSURE, pipeline=spec.id)
    extract = ExtractOperator(task_id=EXTRACT, pipeline=spec.id)
    upsert = UpsertOperator.partial(task_id=UPSERT, pipeline=spec.id, max_active_tis_per_dagrun=spec.parallelism).expand(batch=extract.output)
    # no batches: upsert is skipped while extract succeeded, so this still runs; a quiet run: both are skipped, so it is too
    orphans = DeleteOrphansOperator(task_id=ORPHANS, pipeline=spec.id, trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
    commit = CommitOperator(task_id=COMMIT, pipeline=spec.id, outlets=[pipeline_alias(spec.id)])
    detect >> ensure >> extract >> upsert >> orphans >> commit
    extract >> orphans
    # the scheduler passes a skip on by one edge a loop, through all runs there are: a quiet run ends two loops after detect, not six
    detect >> [extract, upsert, orphans, commit]


def _task_args(spec: PipelineSpec) -> dict[str, Any]:
    return {
        "owner": spec.owner,
        "retries": spec.retries,
        "retry_policy": PipelineRetryPolicy(retries=spec.retries, delay=spec.retry_delay),
        # for a process that was killed, which no policy sees
        "retry_delay": timedelta(seconds=spec.retry_delay),
        "retry_exponential_backoff": 2.0,
    }


def _schedule(spec: PipelineSpec) -> BaseTimetable | AssetAny | None:
    timetable = CronDataIntervalTimetable(spec.schedule, timezone="UTC") if spec.schedule else None
    awaited = [pipeline_asset(pipeline) for pipeline in spec.after]
    if spec.watch is not None:
        awaited.append(watched_asset(spec, spec.watch))
    if not awaited:
        return timetable
    return AssetOrTimeSchedule(timetable=timetable, assets=AssetAny(*awaited)) if timetable else AssetAny(*awaited)


def _deadline(spec: PipelineSpec) -> DeadlineAlert | None:
    if spec.deadline is None:
        return None
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(seconds=spec.deadline),
        callback=AsyncCallback(MISSED_DEADLINE, kwargs={"pipeline": spec.id, "seconds": spec.deadline}),
        name=f"{spec.id} is behind",
    )


def _params(spec: PipelineSpec) -> dict[str, Param]:
    cursor = f"`{spec.source.cursor_column}`" if spec.source.cursor_column else "the cursor"
    window = f"Read only rows whose {cursor} lies in this window. Such a run never moves the state. Empty: go on from the state."
    return {
        "mode": Param(
            "incremental",
            source="dag",
            type="string",
            enum=list(get_args(Mode)),
            description="incremental: what changed. full_refresh: the whole query again. verify: compare by content and repair.",
        ),
        "window_low": Param(None, type=["null", "string"], title="Window from (included)", description=window, source="dag"),
        "window_high": Param(None, type=["null", "string"], title="Window to (not included)", description=window, source="dag"),
        "allow_mass_delete": Param(
            False,
            source="dag",
            type="boolean",
            description=f"Leave to delete more than {spec.max_delete_share:.0%} of the target in this run.",
        ),
    }
