"""What people do to a pipeline: run, pause, resume, start over. Each is one transaction in Airflow's database."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.core_api.datamodels.dag_run import TriggerDAGRunPostBody
from airflow.exceptions import ParamValidationError
from airflow.models.dag import DagModel
from airflow.models.dagbag import DBDagBag
from airflow.models.dagrun import DagRun
from airflow.models.variable import Variable
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from querymirror.api.bodies import RunBody
from querymirror.errors import RequestError
from querymirror.state.base import state_key

_DAGS = DBDagBag()


def run(session: Session, pipeline: str, body: RunBody, *, user: str) -> str:
    """Asks Airflow for a run and returns its id.

    Raises:
        RequestError: 409, Airflow does not know the DAG yet, it is paused, or a run waits already; 422, a value makes no sense.
    """
    model = _dag(session, pipeline)
    if model.is_paused:
        message = "the pipeline is paused, so a run would only wait."
        raise RequestError(message, status=409, code="paused", where=pipeline, fix="Resume it first.")
    if _count(session, pipeline, DagRunState.QUEUED):
        message = "a run is requested already and has not started yet."
        raise RequestError(message, status=409, code="requested", where=pipeline, fix="Wait until it runs; one run of a pipeline works at a time.")
    dag = _DAGS.get_latest_version_of_dag(pipeline, session=session)
    if dag is None:
        raise _unknown(pipeline)
    try:
        asked = TriggerDAGRunPostBody(logical_date=None, conf=_conf(body)).validate_context(dag)
        made = dag.create_dagrun(
            run_id=asked["run_id"],
            logical_date=None,
            data_interval=None,
            run_after=asked["run_after"],
            conf=asked["conf"],
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.REST_API,
            triggering_user_name=user,
            state=DagRunState.QUEUED,
            session=session,
        )
    except (ParamValidationError, ValueError) as err:
        message = f"{err}."
        raise RequestError(message, status=422, code="bad_request", where=pipeline, fix="Correct the mode or the window.") from err
    return str(made.run_id)


def set_paused(session: Session, pipeline: str, *, paused: bool) -> None:
    """Pauses or resumes; a run that works ends the tasks it has.

    Raises:
        RequestError: 409, Airflow does not know the DAG yet.
    """
    _dag(session, pipeline).is_paused = paused


def reset(session: Session, pipeline: str) -> None:
    """Forgets the state, so that the next cycle reads the whole query; the target stays until then.

    Raises:
        RequestError: 409, a run is under way and would write its state afterwards.
    """
    if _count(session, pipeline, DagRunState.RUNNING):
        message = "a run is under way; at its end it would write its state again."
        raise RequestError(message, status=409, code="running", where=pipeline, fix="Pause the pipeline, wait for the run to end, then reset it.")
    found = session.scalar(select(Variable).where(Variable.key == state_key(pipeline)))
    if found is not None:
        session.delete(found)


def _conf(body: RunBody) -> dict[str, Any]:
    conf: dict[str, Any] = {"mode": body.mode}
    if body.window:
        conf |= {"window_low": body.window.low, "window_high": body.window.high}
    return conf | ({"allow_mass_delete": True} if body.allow_mass_delete else {})


def _dag(session: Session, pipeline: str) -> DagModel:
    model: DagModel | None = session.scalar(select(DagModel).where(DagModel.dag_id == pipeline, ~DagModel.is_stale))
    if model is None:
        raise _unknown(pipeline)
    return model


def _count(session: Session, pipeline: str, state: DagRunState) -> int:
    return session.scalar(select(func.count()).where(DagRun.dag_id == pipeline, DagRun.state == state)) or 0


def _unknown(pipeline: str) -> RequestError:
    message = "Airflow has not read this pipeline's file yet."
    return RequestError(message, status=409, code="not_yet", where=pipeline, fix="Wait a few seconds; if it stays so, look at the dag-processor.")
