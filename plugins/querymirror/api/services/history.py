"""What Airflow's database knows of pipelines: DAGs, runs, what each run's `commit` counted, errors, states."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.variable import Variable
from airflow.models.xcom import XComModel
from pydantic import ValidationError
from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from querymirror.api.datamodels import DayRows, ErrorBody, TaskTime
from querymirror.records import CycleSummary
from querymirror.state.base import KEY_PREFIX, PipelineState

CYCLES = 20
COMMIT, ERROR_KEY, RETURN = "commit", "error", "return_value"
_RECENT = timedelta(hours=3)  # holds 20 cycles of the usual five minutes; an index finds them
_DAY = timedelta(hours=24)


@dataclass(frozen=True)
class Run:
    """One DAG run, with what its `commit` counted."""

    key: int
    run_id: str
    state: str
    kind: str
    conf: Mapping[str, Any]
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    summary: CycleSummary | None = None

    @property
    def moves_state(self) -> bool:
        """Whether it is no window run."""
        return self.kind != "backfill" and not self.conf.get("window_low") and not self.conf.get("window_high")


@dataclass(frozen=True)
class Dag:
    """What Airflow knows of a pipeline's DAG."""

    paused: bool
    next_run: datetime | None
    interval: float


@dataclass
class History:
    """All of it, by pipeline."""

    dags: dict[str, Dag] = field(default_factory=dict)
    runs: dict[str, list[Run]] = field(default_factory=dict)
    fresh: dict[str, datetime] = field(default_factory=dict)
    errors: dict[str, ErrorBody] = field(default_factory=dict)
    states: dict[str, PipelineState] = field(default_factory=dict)
    days: dict[str, DayRows] = field(default_factory=dict)


def read_history(session: Session, pipelines: Iterable[str]) -> History:
    """Reads what a list of pipelines needs, in a fixed number of queries."""
    ids = sorted(pipelines)
    found = History(dags=_dags(session, ids))
    found.runs = _recent_runs(session, ids)
    found.fresh = {pipeline: moment for pipeline, runs in found.runs.items() if (moment := _fresh(runs))}
    found.fresh |= _last_successes(session, [p for p in found.runs if p not in found.fresh])
    failed = {p: ended for p, runs in found.runs.items() if (ended := last_ended(runs)) and ended.state == "failed"}
    found.errors = read_errors(session, failed)
    found.states = read_states(session)
    return found


def last_ended(runs: Iterable[Run]) -> Run | None:
    """Returns the newest run that ended."""
    return next((run for run in runs if run.state in {"success", "failed"}), None)


def read_runs(session: Session, pipeline: str, *, limit: int) -> list[Run]:
    """Returns the newest runs of one pipeline, newest first."""
    return _ranked_runs(session, DagRun.dag_id == pipeline, limit).get(pipeline, [])


def read_state(session: Session, pipeline: str) -> PipelineState | None:
    """Returns the committed state of one pipeline."""
    return read_states(session, pipeline).get(pipeline)


def read_states(session: Session, pipeline: str | None = None) -> dict[str, PipelineState]:
    """Returns the committed states; a Variable that holds something else is left out."""
    wanted = Variable.key.startswith(KEY_PREFIX, autoescape=True) if pipeline is None else Variable.key == f"{KEY_PREFIX}{pipeline}"
    found = {}
    for row in session.scalars(select(Variable).where(wanted)):
        try:
            found[str(row.key).removeprefix(KEY_PREFIX)] = PipelineState.model_validate_json(row.get_val() or "")  # type: ignore[no-untyped-call]
        except ValidationError:
            continue  # the run itself says what is wrong with it
    return found


def read_errors(session: Session, runs: Mapping[str, Run]) -> dict[str, ErrorBody]:
    """Returns why runs failed: what their tasks said, or which task ended without a word."""
    if not runs:
        return {}
    keys = [run.key for run in runs.values()]
    said = select(XComModel.dag_id, XComModel.value).where(XComModel.dag_run_id.in_(keys), XComModel.key == ERROR_KEY).order_by(XComModel.timestamp)
    errors = {dag_id: ErrorBody.model_validate(decoded(value)) for dag_id, value in session.execute(said)}
    silent = {p: run for p, run in runs.items() if p not in errors}
    failed = select(TaskInstance.dag_id, TaskInstance.task_id, TaskInstance.try_number).where(
        TaskInstance.dag_id.in_(silent), TaskInstance.run_id.in_({run.run_id for run in silent.values()}), TaskInstance.state == "failed"
    )
    for dag_id, task, tries in session.execute(failed) if silent else ():
        errors[dag_id] = _silent(task, tries, silent[dag_id].run_id)
    return {p: errors.get(p) or _silent("a task", 1, run.run_id) for p, run in runs.items()}


def read_days(session: Session, pipelines: Iterable[str]) -> dict[str, DayRows]:
    """Returns what moved in the last 24 hours; the slowest of these queries, so its answer is kept for a while."""
    since, ids = datetime.now(UTC) - _DAY, sorted(pipelines)
    sums = [func.coalesce(func.sum(XComModel.value[name].as_integer()), 0) for name in DayRows.model_fields if name not in {"changed", "finished", "failed"}]
    committed = and_(XComModel.key == RETURN, XComModel.task_id == COMMIT, XComModel.timestamp >= since, XComModel.dag_id.in_(ids))
    days: dict[str, DayRows] = {}
    for dag_id, changed, read, upserted, unchanged, deleted, rejected in session.execute(
        select(XComModel.dag_id, func.count(), *sums).where(committed).group_by(XComModel.dag_id)
    ):
        days[dag_id] = DayRows(read=read, upserted=upserted, unchanged=unchanged, deleted=deleted, rejected=rejected, changed=changed)
    ended = select(DagRun.dag_id, DagRun.state, func.count()).where(DagRun.run_after >= since, DagRun.dag_id.in_(ids)).group_by(DagRun.dag_id, DagRun.state)
    for dag_id, state, count in session.execute(ended):
        before = days.get(dag_id, DayRows())
        update = {"failed": count} if state == "failed" else {"finished": count} if state == "success" else {}
        days[dag_id] = before.model_copy(update=update)
    return days


def read_tasks(session: Session, pipeline: str, run_id: str) -> list[TaskTime]:
    """Returns what each task of a run took, in the order in which they ran."""
    rows = session.execute(
        select(
            TaskInstance.task_id,
            func.max(TaskInstance.state),
            func.coalesce(func.sum(TaskInstance.duration), 0.0),
            func.count(),
            func.max(TaskInstance.try_number),
            func.min(TaskInstance.start_date),
        )
        .where(TaskInstance.dag_id == pipeline, TaskInstance.run_id == run_id)
        .group_by(TaskInstance.task_id)
    ).all()
    order = sorted(rows, key=lambda row: row[5] or datetime.max.replace(tzinfo=UTC))
    return [TaskTime(task=row[0], state=row[1] or "waiting", seconds=float(row[2] or 0), parts=row[3], tries=row[4] or 0) for row in order]


def decoded(value: Any) -> Any:
    """Returns an XCom's value; some arrive as JSON text in JSON."""
    return json.loads(value) if isinstance(value, str) and value[:1] in {"{", "["} else value


def _dags(session: Session, ids: list[str]) -> dict[str, Dag]:
    return {
        model.dag_id: Dag(bool(model.is_paused), model.next_dagrun_create_after, _interval(model))
        for model in session.scalars(select(DagModel).where(DagModel.dag_id.in_(ids)))
    }


def _interval(model: DagModel) -> float:
    start, end = model.next_dagrun_data_interval_start, model.next_dagrun_data_interval_end
    return (end - start).total_seconds() if start and end else 0.0


def _recent_runs(session: Session, ids: list[str]) -> dict[str, list[Run]]:
    found = _ranked_runs(session, and_(DagRun.dag_id.in_(ids), DagRun.run_after >= datetime.now(UTC) - _RECENT), CYCLES)
    few = [pipeline for pipeline in ids if len(found.get(pipeline, ())) < CYCLES]
    return found | (_ranked_runs(session, DagRun.dag_id.in_(few), CYCLES) if few else {})


def _ranked_runs(session: Session, condition: ColumnElement[bool], limit: int) -> dict[str, list[Run]]:
    rank = func.row_number().over(partition_by=DagRun.dag_id, order_by=(DagRun.run_after.desc(), DagRun.id.desc())).label("rank")
    ranked = select(DagRun.id.label("key"), rank).where(condition).subquery()
    columns = (DagRun.id, DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.run_type, DagRun.conf, DagRun.queued_at, DagRun.start_date, DagRun.end_date)
    mine = and_(XComModel.dag_run_id == DagRun.id, XComModel.task_id == COMMIT, XComModel.key == RETURN, XComModel.map_index == -1)
    rows = session.execute(
        select(*columns, XComModel.value)
        .join(ranked, ranked.c.key == DagRun.id)
        .outerjoin(XComModel, mine)
        .where(ranked.c.rank <= limit)
        .order_by(ranked.c.rank)
    )
    found: dict[str, list[Run]] = {}
    for row in rows:
        found.setdefault(row[1], []).append(_run(tuple(row)))
    return found


def _run(row: Sequence[Any]) -> Run:
    key, _, run_id, state, kind, conf, queued, started, ended, value = row
    return Run(key, run_id, str(getattr(state, "value", state)), str(getattr(kind, "value", kind)), conf or {}, queued, started, ended, _summary(value))


def _summary(value: Any) -> CycleSummary | None:
    try:
        return None if value is None else CycleSummary.model_validate(decoded(value))
    except ValidationError:
        return None  # written by another version


def _fresh(runs: Iterable[Run]) -> datetime | None:
    return next((run.started_at for run in runs if run.state == "success" and run.moves_state), None)


def _last_successes(session: Session, ids: list[str]) -> dict[str, datetime]:
    if not ids:
        return {}
    condition = and_(DagRun.dag_id.in_(ids), DagRun.state == "success", DagRun.run_type != "backfill")
    rows = session.execute(select(DagRun.dag_id, func.max(DagRun.start_date)).where(condition).group_by(DagRun.dag_id))
    return {dag_id: moment for dag_id, moment in rows if moment is not None}


def _silent(task: str, tries: int, run_id: str) -> ErrorBody:
    what = f"{task} ended without a word after {tries} attempt(s); its process may have been killed."
    return ErrorBody(what=what, where=run_id, fix="Its log in Airflow says more; the next cycle begins where the last good one ended.", code="task_failed")
