"""Asks the source, in the triggerer, whether a run has anything to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from airflow.triggers.base import BaseTrigger, TaskSkippedEvent, TriggerEvent

from querymirror.connections import Address
from querymirror.errors import PipelineError, TransientError
from querymirror.operators.base import Deployed, deployed, open_deployed
from querymirror.operators.connections import addresses
from querymirror.operators.request import run_request
from querymirror.pg.pool import SessionPool
from querymirror.records import Detection, RunRequest
from querymirror.triggers.remembered import RememberedStates

Value = TypeVar("Value")

# threads of our own: asyncio's default pool has cores + 4, and a source that hangs would take them from other triggers
_THREADS = ThreadPoolExecutor(max_workers=16, thread_name_prefix="querymirror")
# of this process: a check of a pipeline at rest asks its servers a few questions, and logging in would cost more than all of them
_SESSIONS = SessionPool()
_STATES = RememberedStates()


class SourceChangedTrigger(BaseTrigger):
    """Runs `detect` once and ends the task as skipped (quiet), or hands it to a worker with what was found or what went wrong.

    Args:
        pipeline: its id; spec and settings are read from the triggerer's include folder.
    """

    def __init__(self, pipeline: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pipeline = pipeline

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Returns what Airflow needs to make this trigger again."""
        return f"{type(self).__module__}.{type(self).__name__}", {"pipeline": self.pipeline}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yields the one event that ends or resumes the task."""
        try:
            found, detection = await self._detect()
        except PipelineError as err:
            self.log.warning("%s: %s: %s", self.pipeline, type(err).__name__, err)
            said = {"what": err.what or str(err), "where": err.where, "fix": err.fix, "transient": isinstance(err, TransientError)}
            yield TriggerEvent(said)  # type: ignore[no-untyped-call]
            return
        for reason in detection.reasons:
            self.log.info("%s: %s", self.pipeline, reason)
        if detection.changed:
            yield TriggerEvent({"detection": detection.to_json(), "pin": found.pin()})  # type: ignore[no-untyped-call]
            return
        self.log.info("%s: nothing moved since the last commit.", self.pipeline)
        yield TaskSkippedEvent()

    async def _detect(self) -> tuple[Deployed, Detection]:
        request = run_request(self._context())
        found = await _in_thread(lambda: deployed(self.pipeline))
        source, target = await addresses(found.spec)
        return found, await _in_thread(lambda: _ask(found, source, target, request))

    def _context(self) -> Mapping[str, Any]:
        # Airflow gives a trigger that starts a task the same task instance, run and params that a worker would have
        instance: Any = self.task_instance
        context: Mapping[str, Any] = instance.get_template_context()
        return context


def _ask(found: Deployed, source: Address, target: Address, request: RunRequest) -> Detection:
    pipeline = found.spec.id
    with _SESSIONS.lending(), open_deployed(found, source=source, target=target) as cycle:
        state = _STATES.recall(pipeline)
        if state is not None and not (detection := cycle.detect(state, request)).changed:
            return detection
        state = _STATES.read(pipeline)
        detection = cycle.detect(state, request)
        # the commit of a run that has work replaces the state
        _STATES.keep(pipeline, None if detection.changed else state)
        return detection


async def _in_thread(work: Callable[[], Value]) -> Value:
    return await asyncio.get_running_loop().run_in_executor(_THREADS, work)
