"""What is done to a pipeline: validate, plan, run, pause, resume, reset."""

from __future__ import annotations

from fastapi import APIRouter

from querymirror.api import security
from querymirror.api.bodies import MaybeSpecBody, RunBody
from querymirror.api.control import Call, CallDep, ControlDep
from querymirror.api.datamodels import Done, PlanAnswer, Requested, SchemaAnswer, Validation
from querymirror.api.security import PipelineId
from querymirror.api.services import actions, looks
from querymirror.api.services.detail import problem_rows
from querymirror.api.services.history import read_state
from querymirror.api.spec_body import MaybeSpecDep, spec_in
from querymirror.errors import SpecError

router = APIRouter(prefix="/pipelines/{pipeline}", tags=["actions"], dependencies=[security.logged_in])


@router.post("/validate", dependencies=[security.may_edit], openapi_extra=spec_in(MaybeSpecBody))
def validate(pipeline: PipelineId, text: MaybeSpecDep, control: ControlDep) -> Validation:
    """Says what is wrong with a spec: the one in the body, or the file's; writes nothing, asks no server."""
    try:
        control.folder.check(pipeline, control.folder.text(pipeline).text if text is None else text)
    except SpecError as err:
        return Validation(valid=False, problems=problem_rows(err.problems))
    return Validation(valid=True, problems=[])


@router.post("/plan", dependencies=[security.may_edit], openapi_extra=spec_in(MaybeSpecBody))
def plan(pipeline: PipelineId, text: MaybeSpecDep, call: CallDep) -> PlanAnswer:
    """Says what a run would do now, with the spec in the body or the file's; writes nothing."""
    folder = call.control.folder
    spec = folder.spec(pipeline) if text is None else folder.check(pipeline, text)
    return looks.plan(spec, folder.settings(), read_state(call.session, pipeline))


@router.get("/schema", dependencies=[security.may_read])
def schema(pipeline: PipelineId, control: ControlDep) -> SchemaAnswer:
    """Shows the query's columns beside the target's, and what differs."""
    return looks.schema(control.folder.spec(pipeline), control.folder.settings())


@router.post("/run", dependencies=[security.may_edit, security.may_run], status_code=202)
def run(pipeline: PipelineId, call: CallDep, body: RunBody | None = None) -> Requested:
    """Asks for a run now: a mode, a window, leave to mass-delete."""
    call.control.folder.spec(pipeline)
    run_id = actions.run(call.session, pipeline, body or RunBody(), user=call.user.get_name())
    call.did("run", pipeline, run_id)
    return Requested(pipeline=pipeline, run_id=run_id)


@router.post("/pause", dependencies=[security.may_edit])
def pause(pipeline: PipelineId, call: CallDep) -> Done:
    """Stops the pipeline after the tasks that run now."""
    return _set_paused(pipeline, call, paused=True)


@router.post("/resume", dependencies=[security.may_edit])
def resume(pipeline: PipelineId, call: CallDep) -> Done:
    """Lets the pipeline go on."""
    return _set_paused(pipeline, call, paused=False)


@router.post("/reset", dependencies=[security.may_edit])
def reset(pipeline: PipelineId, call: CallDep) -> Done:
    """Forgets the state; the next cycle reads the whole query."""
    call.control.folder.text(pipeline)
    actions.reset(call.session, pipeline)
    call.did("reset", pipeline)
    return Done(done=f"{pipeline} starts over with its next cycle; the target stays until then.")


def _set_paused(pipeline: str, call: Call, *, paused: bool) -> Done:
    call.control.folder.text(pipeline)
    actions.set_paused(call.session, pipeline, paused=paused)
    call.did("pause" if paused else "resume", pipeline)
    return Done(done=f"{pipeline} is paused." if paused else f"{pipeline} goes on.")
