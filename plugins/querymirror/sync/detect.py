"""Has anything moved? One look at counters; the answer says what the cycle must do."""

from __future__ import annotations

from datetime import UTC, datetime

from querymirror.plan.movement import Seen, decide
from querymirror.records import Detection
from querymirror.sync.run import Run


def detect(run: Run) -> Detection:
    """Looks at the target, then at the source's counters; these come before any snapshot of this cycle, so what they count is visible to it."""
    identity = run.target.identity()
    window, state = run.request.window, run.state
    if window is not None:
        return Detection(changed=True, reasons=(f"window {window.low} .. {window.high} asked for",), target_identity=identity)
    streams = state.streams if state else {}
    probe, facts = run.source.probe({name: s.origin for name, s in streams.items() if s.origin is not None})
    moved = state is not None and probe.tables != state.probe.tables
    seen = Seen(
        probe=probe,
        facts=facts,
        key_tables=run.source.primary_key_origins() if moved else frozenset(),
        target_identity=identity,
        seconds_since_compare=_seconds_since(state.compared_at if state else ""),
        transactions_ended=any(run.source.still_open(s.open) != s.open for s in streams.values() if s.open),
        verify_due=_verify_due(run.spec.verify_schedule, state.compared_at if state else ""),
    )
    return decide(run.spec, state, run.request, seen).model_copy(update={"counted": state.counted if state else None})


def _seconds_since(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds() if moment else float("inf")


def _verify_due(schedule: str | None, compared_at: str) -> bool:
    if schedule is None or not compared_at:
        return False
    from croniter import croniter  # noqa: PLC0415 - most pipelines have no such schedule

    last: datetime = croniter(schedule, datetime.now(UTC)).get_prev(datetime)
    return last > datetime.fromisoformat(compared_at)
