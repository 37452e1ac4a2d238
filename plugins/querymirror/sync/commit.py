"""The last step: what was written becomes visible, and the state moves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from querymirror.records import CycleSummary
from querymirror.state.base import PipelineState
from querymirror.sync.run import Done, Run

SAMPLES = 20


def commit(run: Run, done: Done) -> tuple[PipelineState | None, CycleSummary]:
    """Returns the state to write (None: a window run, whose state must not move) and the run's summary."""
    run.target.finish(run.source.describe())
    summary = _summary(run, done)
    if run.request.window is not None:
        return None, summary
    compared = done.extraction.full or done.extraction.compared
    state = PipelineState(
        fingerprint=run.spec.fingerprint(),
        target_identity=_identity(run, done),
        delete_missing=run.spec.delete_missing,
        probe=done.detection.probe.model_copy(update={"cursors": done.extraction.highs}),
        streams=done.extraction.streams,
        counted=done.orphans.counted,
        compared_at=summary.finished_at if compared else (run.state.compared_at if run.state else ""),
        last=summary,
    )
    return state, summary


def _identity(run: Run, done: Done) -> dict[str, Any]:
    """Returns the target as this run leaves it, marked where more was written meanwhile than the run wrote itself.

    The mark is gone at the next look, so the next cycle compares. A batch that was repeated counts as somebody else: one comparison too many.
    """
    before, now = done.detection.target_identity, run.target.identity() or {}
    own = sum(r.upserted for r in done.results) + done.orphans.deleted
    if before is not None and before.get("id") != now.get("id"):
        before = None
    if any(r.rejected for r in done.results):
        # A refused row's rolled-back insert is counted too; a mark for it would make every later cycle compare, and refuse it again.
        return now
    same_file = before is None or all(before.get(name) == now.get(name) for name in ("epoch", "filenode"))
    return now if same_file and _writes(now) - _writes(before or {}) == own else {**now, "others_wrote_during": run.request.run_id}


def _writes(identity: Mapping[str, Any]) -> int:
    return sum(identity.get(name, 0) for name in ("inserted", "updated", "deleted", "writes"))


def quiet(run: Run, *, seconds: float) -> CycleSummary:
    """Returns the summary of a run that found nothing to do."""
    cursor = _cursor(run.state)
    return CycleSummary(
        pipeline=run.spec.id,
        run_id=run.request.run_id,
        outcome="quiet",
        seconds=seconds,
        cursor_before=cursor,
        cursor_after=cursor,
        finished_at=_now(),
    )


def _summary(run: Run, done: Done) -> CycleSummary:
    main = done.extraction.streams.get("main")
    held = [s.since for s in done.extraction.streams.values() if s.open]
    return CycleSummary(
        pipeline=run.spec.id,
        run_id=run.request.run_id,
        mode=run.request.mode,
        reasons=done.detection.reasons,
        read=sum(r.read for r in done.results),
        upserted=sum(r.upserted for r in done.results),
        unchanged=sum(r.unchanged for r in done.results),
        deleted=done.orphans.deleted,
        rejected=sum(r.rejected for r in done.results),
        batches=len(done.results),
        seconds=sum(r.seconds for r in done.results) + done.orphans.seconds,
        cursor_before=_cursor(run.state),
        cursor_after=(main.high or main.low) if main else None,
        held_back_since=min(held, default=""),
        compared=done.extraction.full or done.extraction.compared,
        samples=_samples(done),
        finished_at=_now(),
    )


def _samples(done: Done) -> tuple[str, ...]:
    """Keys of rows that a comparison found different; other runs write what changed, which is no news."""
    if not done.extraction.compared or done.extraction.full:
        return ()
    written = [sample for result in done.results for sample in result.samples]
    return tuple(written[:SAMPLES] + [f"orphan {key}" for key in done.orphans.samples])


def _cursor(state: PipelineState | None) -> str | None:
    main = state.streams.get("main") if state else None
    return (main.high or main.low) if main else None


def _now() -> str:
    return datetime.now(UTC).isoformat()
