"""For monitoring systems: health and metrics."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse
from sqlalchemy.orm import Session

from querymirror.api import security
from querymirror.api.control import Control, ControlDep
from querymirror.api.datamodels import HealthAnswer, PipelineRow
from querymirror.api.security import MonitorDep
from querymirror.api.services.health import health
from querymirror.api.services.metrics import prometheus

router = APIRouter(tags=["monitoring"])
Bound = Annotated[float, Query(ge=0.5, le=30, description="Seconds that all servers together may take.")]


@router.get("/health")
def show_health(control: ControlDep, user: MonitorDep, session: SessionDep, timeout: Bound = 5) -> HealthAnswer:
    """Says whether Airflow's parts, the servers and the pipelines are well; answers within `timeout`."""
    return health(_rows(control, user, session), control.folder.loaded(), control.folder.settings(), seconds=timeout)


@router.get("/metrics", response_class=PlainTextResponse)
def show_metrics(control: ControlDep, user: MonitorDep, session: SessionDep) -> PlainTextResponse:
    """Returns Prometheus text."""
    return PlainTextResponse(prometheus(_rows(control, user, session)), media_type="text/plain; version=0.0.4; charset=utf-8")


def _rows(control: Control, user: BaseUser | None, session: Session) -> list[PipelineRow]:
    rows = control.overview.rows(session)
    if user is None:
        return rows
    may_read = security.readable(user, {row.id for row in rows}, session)
    return [row for row in rows if row.id in may_read]
