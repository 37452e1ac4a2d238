"""extract: fixes this run's windows and cuts what changed into batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from querymirror.operators.base import DETECT, ENSURE, EXTRACTION_KEY, PipelineOperator
from querymirror.records import Detection, Ensured

if TYPE_CHECKING:
    from airflow.sdk import Context


class ExtractOperator(PipelineOperator):
    """Hands out bounds, never rows.

    The batches are the return value, because Airflow maps tasks over nothing else; the whole `Extraction` lies
    under its own key.
    """

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Returns the batches as JSON, one mapped `upsert` each."""
        with self.step(context) as step:
            detection, ensured = step.pull(DETECT, Detection), step.pull(ENSURE, Ensured)
            extraction = step.cycle.extract(step.store.read(self.pipeline), step.request, detection, ensured)
        context["ti"].xcom_push(key=EXTRACTION_KEY, value=extraction.to_json())
        whole, compared = "the whole query" if extraction.full else "what changed", ", compared by content" if extraction.compared else ""
        self.log.info("%s: %d batch(es) of %s%s", self.pipeline, len(extraction.batches), whole, compared)
        return [batch.to_json() for batch in extraction.batches]
