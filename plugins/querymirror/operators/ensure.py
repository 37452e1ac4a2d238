"""ensure_target: makes or adapts the table or index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from querymirror.operators.base import DETECT, PipelineOperator
from querymirror.records import Detection

if TYPE_CHECKING:
    from airflow.sdk import Context


class EnsureTargetOperator(PipelineOperator):
    """Creates or adapts the target; refuses what it can't do safely."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns `Ensured` as JSON."""
        with self.step(context) as step:
            ensured = step.cycle.ensure(step.store.read(self.pipeline), step.request, step.pull(DETECT, Detection))
        for change in ensured.changes:
            self.log.info("%s: %s", self.pipeline, change)
        return ensured.to_json()
