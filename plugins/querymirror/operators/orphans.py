"""delete_orphans: removes target rows that the query no longer returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from querymirror.operators.base import DETECT, ENSURE, EXTRACT, EXTRACTION_KEY, PipelineOperator
from querymirror.records import Detection, Ensured, Extraction

if TYPE_CHECKING:
    from airflow.sdk import Context


class DeleteOrphansOperator(PipelineOperator):
    """Compares the keys of both sides and removes what is left over."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns `OrphanResult` as JSON."""
        with self.step(context) as step:
            detection, ensured = step.pull(DETECT, Detection), step.pull(ENSURE, Ensured)
            result = step.cycle.delete_orphans(step.request, detection, ensured, step.pull(EXTRACT, Extraction, EXTRACTION_KEY))
        self.log.info("%s: keys %s, %d row(s) deleted", self.pipeline, "compared" if result.checked else "not compared", result.deleted)
        return result.to_json()
