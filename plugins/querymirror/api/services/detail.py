"""One pipeline in full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from querymirror.api.datamodels import CycleRow, Detail, PipelineRow, ProblemRow, StreamRow
from querymirror.api.plain import iso, plain
from querymirror.api.services import history
from querymirror.api.services.history import Run
from querymirror.api.services.rows import cycle_row
from querymirror.api.services.specs import SpecFolder
from querymirror.errors import Problem
from querymirror.state.base import PipelineState

_RUNS = 60


def detail(session: Session, folder: SpecFolder, row: PipelineRow) -> Detail:
    """Returns everything the page shows of a pipeline without asking its servers."""
    text = folder.text(row.id)
    loaded = folder.loaded()
    spec, broken = loaded.specs.get(row.id), loaded.broken.get(row.id)
    runs = history.read_runs(session, row.id, limit=_RUNS)
    changed = next((run for run in runs if run.summary), None)
    shown = runs[0] if runs and runs[0].state in {"running", "failed"} else changed or (runs[0] if runs else None)
    state = history.read_state(session, row.id)
    summary = (changed.summary if changed else None) or (state.last if state else None)
    return Detail(
        pipeline=row,
        file=text.file,
        text=text.text,
        etag=text.etag,
        spec=_spec(spec.model_dump(mode="json")) if spec else None,
        problems=problem_rows(broken.problems) if broken else [],
        runs=[cycle_row(run) for run in runs],
        tasks=history.read_tasks(session, row.id, shown.run_id) if shown else [],
        tasks_of=shown.run_id if shown else "",
        cursor_before=summary.cursor_before if summary else None,
        cursor_after=summary.cursor_after if summary else None,
        held_back_since=iso(summary.held_back_since) if summary else "",
        reasons=[plain(reason) for reason in summary.reasons] if summary else [],
        streams=_streams(state),
        compared_at=iso(state.compared_at) if state else "",
        verified=_verified(runs),
    )


def problem_rows(problems: Sequence[Problem]) -> list[ProblemRow]:
    """Returns what is wrong with a spec as the API shows it."""
    return [ProblemRow(file=plain(p.file), line=p.line, where=p.where, what=plain(p.what), fix=plain(p.fix)) for p in problems]


def _spec(fields: dict[str, Any]) -> dict[str, Any]:
    # empty values say nothing, and the second form's columns are shown by its text
    return {name: value for name, value in fields.items() if value not in (None, "", [], ())}


def _streams(state: PipelineState | None) -> list[StreamRow]:
    streams = state.streams if state else {}
    return [StreamRow(name=name, low=s.low, high=s.high, waits_for=len(s.open), since=iso(s.since)) for name, s in streams.items()]


def _verified(runs: Sequence[Run]) -> CycleRow | None:
    return next((cycle_row(run) for run in runs if run.summary and run.summary.mode == "verify"), None)
