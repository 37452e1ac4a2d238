"""detect_changes: has anything moved since the state? Starts in the triggerer, so a quiet pipeline costs no worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException
from airflow.triggers.base import StartTriggerArgs

from querymirror.errors import TerminalError, TransientError
from querymirror.operators.base import PIN_KEY, PipelineOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

TRIGGER = "querymirror.triggers.source_changed.SourceChangedTrigger"


class DetectChangesOperator(PipelineOperator):
    """Compares the source with the state; skipped, and the rest of the run with it, where nothing moved.

    Quiet ends in the triggerer. Changed ends on a worker: for each task that succeeds in the triggerer Airflow has its DAG processor build all
    pipelines once more, to look for callbacks. A failure is raised on a worker, for only a worker knows a retry policy: Airflow tries a task that
    fails in the triggerer again whatever the error was.

    Args:
        pipeline: its id.
        in_triggerer: whether it starts there, two seconds slower (the triggerer's loops) and without a process; else on a worker.
    """

    def __init__(self, *, pipeline: str, in_triggerer: bool = True, **kwargs: Any) -> None:
        super().__init__(pipeline=pipeline, **kwargs)
        self.start_from_trigger = in_triggerer
        if in_triggerer:
            self.start_trigger_args = StartTriggerArgs(trigger_cls=TRIGGER, trigger_kwargs={"pipeline": pipeline}, next_method="execute_complete")

    def execute(self, context: Context) -> dict[str, Any]:
        """Does the same on a worker: for pipelines that watch, and where there is no triggerer (`airflow tasks test`, `dag.test()`)."""
        with self.step(context) as step:
            detection = step.cycle.detect(step.store.read(self.pipeline), step.request)
        for reason in detection.reasons:
            self.log.info("%s: %s", self.pipeline, reason)
        if not detection.changed:
            message = f"{self.pipeline}: nothing moved since the last commit."
            raise AirflowSkipException(message)
        context["ti"].xcom_push(key=PIN_KEY, value=step.deployed.pin())
        return detection.to_json()

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Hands on what the triggerer found, or raises what went wrong there.

        Raises:
            TransientError: tried again as the spec says.
            TerminalError: fails at once.
        """
        with self.told(context):
            if "detection" not in event:
                raise (TransientError if event["transient"] else TerminalError)(event["what"], where=event["where"], fix=event["fix"])
            context["ti"].xcom_push(key=PIN_KEY, value=event["pin"])
            return dict(event["detection"])
