"""Who may: every route needs a login; reading needs read rights on the DAG, acting needs edit rights."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, get_user
from airflow.configuration import conf
from airflow.models.dag import DagModel
from airflow.models.log import Log
from fastapi import Depends, Path, Request
from fastapi.security import HTTPBearer
from sqlalchemy.orm import Session

from querymirror.errors import RequestError

ID_PATTERN = r"^[A-Za-z][A-Za-z0-9_.-]{0,199}$"
PipelineId = Annotated[str, Path(pattern=ID_PATTERN, description="A pipeline's id: the name of its file, and of its DAG.")]


def allowed(user: BaseUser, pipeline: str, method: ResourceMethod, session: Session, entity: DagAccessEntity | None = None) -> bool:
    """Whether Airflow lets a user do this to a pipeline's DAG, which need not be there yet."""
    details = DagDetails(id=pipeline, team_name=DagModel.get_team_name(pipeline, session=session))
    return get_auth_manager().is_authorized_dag(method=method, access_entity=entity, details=details, user=user)


def require(user: BaseUser, pipeline: str, method: ResourceMethod, session: Session, entity: DagAccessEntity | None = None) -> None:
    """Refuses what Airflow does not let the user do.

    Raises:
        RequestError: 403.
    """
    if allowed(user, pipeline, method, session, entity):
        return
    right = "read" if method == "GET" else "delete" if method == "DELETE" else "edit"
    message = f"you may not {right} this pipeline."
    raise RequestError(message, status=403, code="forbidden", where=pipeline, fix=f"Ask for the right to {right} the DAG {pipeline!r} in Airflow.")


def _requires(method: ResourceMethod, entity: DagAccessEntity | None = None) -> Callable[..., None]:
    def check(pipeline: PipelineId, user: GetUserDep, session: SessionDep) -> None:
        require(user, pipeline, method, session, entity)

    return check


logged_in = Depends(get_user)
may_read = Depends(_requires("GET"))
may_edit = Depends(_requires("PUT"))
may_delete = Depends(_requires("DELETE"))
may_run = Depends(_requires("POST", DagAccessEntity.RUN))


def readable(user: BaseUser, pipelines: set[str], session: Session) -> set[str]:
    """Returns the pipelines that a user may read; those whose DAG Airflow does not know yet are asked for one by one."""
    return _permitted(user, pipelines, "GET", session)


def editable(user: BaseUser, pipelines: set[str], session: Session) -> set[str]:
    """Returns the pipelines that a user may act on."""
    return _permitted(user, pipelines, "PUT", session)


def _permitted(user: BaseUser, pipelines: set[str], method: ResourceMethod, session: Session) -> set[str]:
    known = get_auth_manager().get_authorized_dag_ids(user=user, method=method, session=session)
    if pipelines <= known:
        return pipelines
    return {p for p in pipelines if p in known or allowed(user, p, method, session)}


async def monitor(request: Request) -> BaseUser | None:
    """Lets in a monitoring system that knows the token of `[querymirror] monitor_token`, and whoever is logged in.

    Returns:
        the user; None = the token's holder, who sees the state of all pipelines.
    """
    token = conf.get("querymirror", "monitor_token", fallback="")
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if token and hmac.compare_digest(given.encode(), token.encode()):
        return None
    return await get_user(request, None, await _bearer(request))


MonitorDep = Annotated[BaseUser | None, Depends(monitor)]
_bearer = HTTPBearer(auto_error=False)


def record(session: Session, user: BaseUser, event: str, pipeline: str, extra: str = "") -> None:
    """Writes into Airflow's audit log who did what to a pipeline."""
    session.add(Log(event=f"querymirror_{event}", owner=user.get_name(), owner_display_name=user.get_name(), extra=extra or None, dag_id=pipeline))
