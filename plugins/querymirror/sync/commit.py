"""The last step: what was written becomes visible, and the state moves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from querymirror.records import BatchResult, CycleSummary, Detection, Extraction, OrphanResult, RunRequest
from querymirror.sources.base import Source
from querymirror.spec.pipeline import PipelineSpec
from querymirror.state.base import PipelineState
from querymirror.targets.base import Target


def commit(
    spec: PipelineSpec,
    source: Source,
    target: Target,
    state: PipelineState | None,
    request: RunRequest,
    *,
    detection: Detection,
    extraction: Extraction,
    results: Sequence[BatchResult],
    orphans: OrphanResult,
) -> tuple[PipelineState | None, CycleSummary]:
    """Returns the state to write (None: a window run, whose state must not move) and the run's summary."""
    target.finish(source.describe())
    summary = _summary(spec, state, request, detection=detection, extraction=extraction, results=results, orphans=orphans)
    if request.window is not None:
        return None, summary
    compared_at = summary.finished_at if extraction.full or extraction.compared else (state.compared_at if state else "")
    return (
        PipelineState(
            fingerprint=spec.fingerprint(),
            target_identity=target.identity() or {},
            probe=detection.probe.model_copy(update={"cursors": extraction.highs}),
            streams=extraction.streams,
            compared_at=compared_at,
            last=summary,
        ),
        summary,
    )


def quiet(spec: PipelineSpec, state: PipelineState | None, request: RunRequest, *, seconds: float) -> CycleSummary:
    """Returns the summary of a run that found nothing to do."""
    cursor = _cursor(state)
    return CycleSummary(
        pipeline=spec.id, run_id=request.run_id, outcome="quiet", seconds=seconds, cursor_before=cursor, cursor_after=cursor, finished_at=_now()
    )


def _summary(
    spec: PipelineSpec,
    state: PipelineState | None,
    request: RunRequest,
    *,
    detection: Detection,
    extraction: Extraction,
    results: Sequence[BatchResult],
    orphans: OrphanResult,
) -> CycleSummary:
    main = extraction.streams.get("main")
    held = [s.since for s in extraction.streams.values() if s.open]
    return CycleSummary(
        pipeline=spec.id,
        run_id=request.run_id,
        mode=request.mode,
        reasons=detection.reasons,
        read=sum(r.read for r in results),
        upserted=sum(r.upserted for r in results),
        unchanged=sum(r.unchanged for r in results),
        deleted=orphans.deleted,
        rejected=sum(r.rejected for r in results),
        batches=len(results),
        seconds=sum(r.seconds for r in results) + orphans.seconds,
        cursor_before=_cursor(state),
        cursor_after=(main.high or main.low) if main else None,
        held_back_since=min(held, default=""),
        finished_at=_now(),
    )


def _cursor(state: PipelineState | None) -> str | None:
    main = state.streams.get("main") if state else None
    return (main.high or main.low) if main else None


def _now() -> str:
    return datetime.now(UTC).isoformat()
