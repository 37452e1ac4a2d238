"""commit: the state moves, last of all, and the pipelines that follow this one are told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.observability import stats

from querymirror.operators import lineage
from querymirror.operators.base import DETECT, ENSURE, EXTRACT, EXTRACTION_KEY, ORPHANS, UPSERT, PipelineOperator
from querymirror.operators.connections import source_address, target_address
from querymirror.operators.lineage import Lineage
from querymirror.records import BatchResult, CycleSummary, Detection, Ensured, Extraction, OrphanResult

if TYPE_CHECKING:
    from airflow.sdk import Context


def pipeline_asset(pipeline: str) -> Asset:
    """Returns the asset that stands for a pipeline's target; it has an event each time rows of the target changed."""
    return Asset(name=f"querymirror://{pipeline}", uri=f"querymirror://{pipeline}", group="querymirror")


def pipeline_alias(pipeline: str) -> AssetAlias:
    """Returns the outlet of `commit`; an alias, because a plain outlet has an event for every success, rows or not."""
    return AssetAlias(name=f"querymirror:{pipeline}", group="querymirror")


class CommitOperator(PipelineOperator):
    """Writes the state after everything it vouches for is in the target."""

    lineage: Lineage | None = None  # of the run, once it is committed

    def execute(self, context: Context) -> dict[str, Any]:
        """Returns `CycleSummary` as JSON."""
        with self.step(context) as step:
            state, summary = step.cycle.commit(
                step.store.read(self.pipeline),
                step.request,
                detection=step.pull(DETECT, Detection),
                ensured=step.pull(ENSURE, Ensured),
                extraction=step.pull(EXTRACT, Extraction, EXTRACTION_KEY),
                results=step.pull_all(UPSERT, BatchResult),
                orphans=step.pull(ORPHANS, OrphanResult),
            )
            # what people mean by a run's time: since Airflow began it, waits between its tasks included
            now = datetime.now(UTC)
            summary = summary.model_copy(update={"seconds": (now - (context["dag_run"].start_date or now)).total_seconds()})
            if state is not None:
                step.store.write(self.pipeline, state.model_copy(update={"last": summary}))
            if lineage.wanted():
                tables = [table.name for table in state.probe.tables] if state else []
                spec = step.deployed.spec
                self.lineage = lineage.lineage_of(spec, source_address(spec), target_address(spec), tables, summary)
        self._publish(context, summary)
        return summary.to_json()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002 - the provider passes it
        """Returns what the run read and wrote; called by the OpenLineage provider, where it is installed."""
        return self.lineage.as_operator_lineage() if self.lineage else None

    def _publish(self, context: Context, summary: CycleSummary) -> None:
        counts = {name: getattr(summary, name) for name in ("read", "upserted", "unchanged", "deleted", "rejected")}
        self.log.info("%s: %s in %.2f s", self.pipeline, ", ".join(f"{name} {count}" for name, count in counts.items()), summary.seconds)
        for name, value in {**counts, "seconds": summary.seconds}.items():
            # the pipeline is part of the name: plain statsd has no tags
            stats.gauge(f"querymirror.{self.pipeline}.{name}", value)
        if summary.upserted or summary.deleted:
            alias = pipeline_alias(self.pipeline)
            context["outlet_events"][alias].add(pipeline_asset(self.pipeline), extra={"run_id": summary.run_id, **counts})
