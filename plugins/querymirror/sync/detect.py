"""Has anything moved? One look at counters; the answer says what the cycle must do."""

from __future__ import annotations

from datetime import UTC, datetime

from querymirror.plan.movement import Seen, decide
from querymirror.records import Detection, RunRequest
from querymirror.sources.base import Source
from querymirror.spec.pipeline import PipelineSpec
from querymirror.state.base import PipelineState
from querymirror.targets.base import Target


def detect(spec: PipelineSpec, source: Source, target: Target, state: PipelineState | None, request: RunRequest) -> Detection:
    """Looks at the target, then at the source's counters; these come before any snapshot of this cycle, so what they count is visible to it."""
    if request.window is not None:
        return Detection(changed=True, reasons=(f"window {request.window.low} .. {request.window.high} asked for",), target_identity=target.identity())
    identity = target.identity()
    streams = state.streams if state else {}
    probe, facts = source.probe({name: s.origin for name, s in streams.items() if s.origin is not None})
    seen = Seen(
        probe=probe,
        facts=facts,
        key_tables=source.primary_key_origins(),
        target_identity=identity,
        seconds_since_compare=_seconds_since(state.compared_at if state else ""),
    )
    return decide(spec, state, request, seen)


def _seconds_since(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds() if moment else float("inf")
