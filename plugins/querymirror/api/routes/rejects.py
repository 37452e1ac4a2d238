"""Rows the target refused: list, replay, drop."""

from __future__ import annotations

from fastapi import APIRouter

from querymirror.api import security
from querymirror.api.bodies import KeysBody
from querymirror.api.control import CallDep, ControlDep
from querymirror.api.datamodels import Done, RejectList, Replayed
from querymirror.api.security import PipelineId
from querymirror.api.services import looks

router = APIRouter(prefix="/pipelines/{pipeline}/rejects", tags=["rejects"], dependencies=[security.logged_in])


@router.get("", dependencies=[security.may_read])
def list_rejects(pipeline: PipelineId, control: ControlDep) -> RejectList:
    """Lists the newest 200 rows that the target refused, and how many there are."""
    return looks.rejects(control.folder.spec(pipeline), control.folder.settings())


@router.post("/replay", dependencies=[security.may_edit, security.may_run])
def replay(pipeline: PipelineId, call: CallDep, body: KeysBody | None = None) -> Replayed:
    """Reads rows again from the source and tries them; those that pass, or left the query, are forgotten."""
    folder = call.control.folder
    done = looks.replay_rejects(folder.spec(pipeline), folder.settings(), body.keys if body else None)
    call.did("replay", pipeline, f"written {done.written}, refused {done.refused}")
    return done


@router.delete("", dependencies=[security.may_edit])
def drop(pipeline: PipelineId, call: CallDep, body: KeysBody | None = None) -> Done:
    """Forgets rows; they are not in the target and are not tried again until they change."""
    folder = call.control.folder
    dropped = looks.drop_rejects(folder.spec(pipeline), folder.settings(), body.keys if body else None)
    call.did("drop_rejects", pipeline, str(dropped))
    return Done(done=f"{dropped} row(s) were dropped.")
