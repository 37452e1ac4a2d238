"""How a pipeline is, in words: from its spec and what Airflow knows of it to one line of the list."""

from __future__ import annotations

from datetime import UTC, datetime

from querymirror.api.datamodels import Counts, CycleRow, DayRows, ErrorBody, Health, Level, PipelineRow, State
from querymirror.api.plain import plain
from querymirror.api.problems import body_of
from querymirror.api.services.history import History, Run, last_ended
from querymirror.errors import SpecError
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.target import PostgresTarget

_FIX = "Correct what it names, in the spec, the query or the connection; the next cycle begins where the last good one ended."
_GRACE = 60.0  # seconds; a cycle needs a moment to start and to work
_ORDER: dict[Level, int] = {"bad": 0, "warn": 1, "busy": 2, "good": 3, "off": 4}


def good_row(spec: PipelineSpec, found: History, day: DayRows, counts: Counts | None) -> PipelineRow:
    """Returns the line of a pipeline whose spec can be used."""
    runs = found.runs.get(spec.id, [])
    error = found.errors.get(spec.id)
    fresh = found.fresh.get(spec.id)
    dag = found.dags.get(spec.id)
    lag = (datetime.now(UTC) - fresh).total_seconds() if fresh else None
    interval = dag.interval if dag else 0.0
    late = lag is not None and bool(spec.schedule) and interval > 0 and lag > 2 * interval + _GRACE
    state = _state(runs, known=dag is not None, paused=bool(dag and dag.paused), failed=error is not None, fresh=fresh is not None, late=late)
    health = _health(state, runs, day, error, known=dag is not None, fresh=fresh is not None, late=late)
    cycles = [cycle_row(run) for run in runs]
    return PipelineRow(
        id=spec.id,
        description=spec.description,
        owner=spec.owner,
        tags=list(spec.tags),
        schedule=spec.schedule,
        source=spec.source.conn_id,
        target=f"{spec.target.conn_id} · {target_name(spec)}",
        target_type=spec.target.type,
        state=state,
        health=health,
        severity=_ORDER[health.level],
        fresh_at=_iso(fresh),
        lag_seconds=lag,
        interval_seconds=interval,
        paused=bool(dag and dag.paused),
        last=next((c for c in cycles if c.outcome in {"changed", "quiet", "failed"}), None),
        day=day,
        counts=counts,
        cycles=cycles,
        next_run=_iso(dag.next_run if dag and not dag.paused else None),
        error=_clean(error) if error else None,
    )


def broken_row(pipeline: str, error: SpecError) -> PipelineRow:
    """Returns the line of a pipeline whose spec is wrong."""
    _, body = body_of(error)
    count = len(error.problems)
    return PipelineRow(
        id=pipeline,
        description="",
        owner="",
        tags=[],
        schedule=None,
        source="",
        target="",
        target_type="",
        state="failed",
        health=Health(level="bad", text=f"Broken spec: {count} problem{'s' * (count != 1)}. It does not run."),
        severity=_ORDER["bad"],
        fresh_at="",
        lag_seconds=None,
        interval_seconds=0,
        paused=False,
        last=None,
        day=DayRows(),
        counts=None,
        cycles=[],
        next_run="",
        error=_clean(body),
    )


def cycle_row(run: Run) -> CycleRow:
    """Returns a run as the API shows it."""
    summary = run.summary
    seconds = (run.ended_at - run.started_at).total_seconds() if run.ended_at and run.started_at else 0.0
    outcomes = {"queued": "requested", "running": "running", "failed": "failed"}
    return CycleRow.model_validate(
        {
            "run_id": run.run_id,
            "outcome": outcomes.get(run.state) or (summary.outcome if summary else "quiet"),
            "by": run.kind,
            "mode": summary.mode if summary else run.conf.get("mode") or "incremental",
            "window": not run.moves_state,
            "queued_at": _iso(run.queued_at),
            "started_at": _iso(run.started_at),
            "ended_at": _iso(run.ended_at),
            "seconds": seconds,
            **({name: getattr(summary, name) for name in ("read", "upserted", "unchanged", "deleted", "rejected")} if summary else {}),
        }
    )


def target_name(spec: PipelineSpec) -> str:
    """Returns the table or index of a pipeline."""
    return spec.target.table if isinstance(spec.target, PostgresTarget) else spec.target.index


def _state(runs: list[Run], *, known: bool, paused: bool, failed: bool, fresh: bool, late: bool) -> State:
    active = {run.state for run in runs}
    if "running" in active:
        return "running"
    if paused:
        return "paused"
    if "queued" in active:
        return "requested"
    if failed:
        return "failed"
    if not known or not fresh:
        return "never run"
    return "behind" if late else "idle"


def _health(state: State, runs: list[Run], day: DayRows, error: ErrorBody | None, *, known: bool, fresh: bool, late: bool) -> Health:  # noqa: PLR0911 - one line a case reads best
    if error is not None:
        again = " A new run is on its way." if state in {"running", "requested"} else ""
        left = "the target stays as the last good one left it" if fresh else "the target has not been filled"
        return Health(level="bad", text=f"The last run failed; {left}.{again}")
    if state == "paused":
        return Health(level="off", text="Paused; changes wait.")
    if late:
        return Health(level="bad", text="Behind: no cycle has finished for more than two intervals.")
    if not known:
        return Health(level="busy", text="New: Airflow has not read the file yet.")
    if state == "never run":
        return Health(level="warn", text="Never run: the target has not been filled.")
    ended = last_ended(runs)
    if ended and ended.summary and ended.summary.rejected:
        return Health(level="warn", text=f"The target refused {ended.summary.rejected:,} row(s) in the last cycle; they are kept aside.")
    if day.rejected:
        return Health(level="warn", text=f"The target refused {day.rejected:,} row(s) in the last 24 hours; see the rejects.")
    if state in {"running", "requested"}:
        return Health(level="busy", text="Filling the target." if last_ended(runs) is None else "Working.")
    return Health(level="good", text="Up to date.")


def _clean(error: ErrorBody) -> ErrorBody:
    return ErrorBody(what=plain(error.what), where=plain(error.where), fix=plain(error.fix) or _FIX, code=error.code)


def _iso(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat() if moment else ""
