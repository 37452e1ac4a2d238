"""Pipelines: list, show, create, change, remove."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from querymirror.api import security
from querymirror.api.bodies import NewSpecBody, SpecBody
from querymirror.api.control import CallDep, ControlDep
from querymirror.api.datamodels import Counts, Detail, Done, PipelineList
from querymirror.api.security import PipelineId
from querymirror.api.services.detail import detail
from querymirror.api.services.specs import missing
from querymirror.api.spec_body import GivenSpecDep, spec_in

router = APIRouter(prefix="/pipelines", tags=["pipelines"], dependencies=[security.logged_in])
Expected = Annotated[str | None, Header(alias="If-Match", max_length=100, description="The `etag` of the text that was changed.")]


@router.get("", response_model=PipelineList)
def list_pipelines(request: Request, response: Response, call: CallDep) -> PipelineList | Response:
    """Lists the pipelines that the caller may read, worst first; `If-None-Match` answers 304 while nothing moved."""
    rows = call.control.overview.rows(call.session)
    ids = {row.id for row in rows}
    may_read, may_edit = security.readable(call.user, ids, call.session), security.editable(call.user, ids, call.session)
    found = PipelineList(
        pipelines=[row.model_copy(update={"may_edit": row.id in may_edit}) for row in rows if row.id in may_read],
        now=datetime.now(UTC).isoformat(),
        may_create=security.allowed(call.user, "new_pipeline", "PUT", call.session),
        read_only=call.control.folder.read_only,
    )
    etag = _etag(found)
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers={"ETag": etag})
    response.headers["ETag"] = etag
    return found


@router.get("/{pipeline}", dependencies=[security.may_read])
def show_pipeline(pipeline: PipelineId, call: CallDep) -> Detail:
    """Shows one pipeline: its spec and file, state, runs, time per task, windows."""
    row = call.control.overview.row(call.session, pipeline)
    if row is None:
        raise missing(pipeline)
    may_edit = security.allowed(call.user, pipeline, "PUT", call.session)
    return detail(call.session, call.control.folder, row.model_copy(update={"may_edit": may_edit}))


@router.get("/{pipeline}/counts", dependencies=[security.may_read])
def count_rows(pipeline: PipelineId, control: ControlDep) -> Counts:
    """Counts the rows of both sides now."""
    return control.overview.count(pipeline)


@router.post("", status_code=201, openapi_extra=spec_in(NewSpecBody))
def create_pipeline(given: GivenSpecDep, response: Response, call: CallDep) -> Done:
    """Writes a new spec file; JSON `{id, spec}`, or YAML with `?id=`."""
    security.require(call.user, given.pipeline, "PUT", call.session)
    call.control.folder.create(given.pipeline, given.text)
    call.did("create", given.pipeline)
    response.headers["Location"] = f"/querymirror/api/pipelines/{given.pipeline}"
    return Done(done=f"{given.pipeline} was created; Airflow reads it within seconds.")


@router.put("/{pipeline}", dependencies=[security.may_edit], openapi_extra=spec_in(SpecBody))
def change_pipeline(pipeline: PipelineId, given: GivenSpecDep, call: CallDep, expected: Expected = None) -> Done:
    """Replaces a spec file; JSON `{spec}`, or YAML."""
    call.control.folder.replace(pipeline, given.text, expected=expected)
    call.did("change", pipeline)
    return Done(done=f"{pipeline} was changed; the next cycle uses the new spec.")


@router.delete("/{pipeline}", dependencies=[security.may_delete])
def remove_pipeline(pipeline: PipelineId, call: CallDep, expected: Expected = None) -> Done:
    """Removes a spec file; the target and the state stay."""
    call.control.folder.remove(pipeline, expected=expected)
    call.did("remove", pipeline)
    return Done(done=f"{pipeline} was removed; its target and its state stay.")


def _etag(found: PipelineList) -> str:
    # times that move by themselves are worked out by the reader
    text = found.model_dump_json(exclude={"now": True, "pipelines": {"__all__": {"lag_seconds"}}})
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:20]}"'
