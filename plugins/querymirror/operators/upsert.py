"""upsert: moves one batch; one mapped task each, tried again alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from querymirror.operators.base import ENSURE, PipelineOperator
from querymirror.records import Batch, Ensured

if TYPE_CHECKING:
    from airflow.sdk import Context


class UpsertOperator(PipelineOperator):
    """Streams a batch from the source into the target; idempotent.

    Args:
        pipeline: its id.
        batch: a `Batch` as JSON.
    """

    template_fields = ("batch",)

    def __init__(self, *, pipeline: str, batch: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(pipeline=pipeline, **kwargs)
        self.batch = batch

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns `BatchResult` as JSON."""
        batch = Batch.from_json(self.batch)
        with self.step(context) as step:
            result = step.cycle.upsert(batch, step.request, step.pull(ENSURE, Ensured))
        self.log.info(
            "%s: batch %d (%s of %s): read %d, upserted %d, unchanged %d, rejected %d in %.2f s",
            *(self.pipeline, batch.number, batch.kind, batch.stream),
            *(result.read, result.upserted, result.unchanged, result.rejected, result.seconds),
        )
        return result.to_json()
