"""The state of all pipelines as Prometheus text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import get_args

from querymirror.api.datamodels import PipelineRow, State

_MOVED = ("read", "upserted", "deleted", "rejected")


def prometheus(rows: Sequence[PipelineRow]) -> str:
    """Returns the text; every value is of the pipeline's label."""
    return "".join(f"{line}\n" for line in _lines(rows))


def _lines(rows: Sequence[PipelineRow]) -> Iterator[str]:
    yield from _gauge("lag_seconds", "How old the source was that the target equals.", rows, lambda row: row.lag_seconds)
    yield from _gauge("last_success_timestamp_seconds", "When the last good cycle began to read.", rows, lambda row: _seconds(row.fresh_at))
    yield from _gauge("last_cycle_seconds", "How long the last cycle took.", rows, lambda row: row.last.seconds if row.last else None)
    yield from _gauge("source_rows", "Rows of the query when it was last counted.", rows, lambda row: row.counts.source if row.counts else None)
    yield from _gauge("target_rows", "Rows of the target when it was last counted.", rows, lambda row: row.counts.target if row.counts else None)
    yield from _gauge("day_cycles", "Cycles that ended well in the last 24 hours.", rows, lambda row: row.day.finished)
    yield from _gauge("day_failed_cycles", "Cycles that failed in the last 24 hours.", rows, lambda row: row.day.failed)
    for name, text in (("last_cycle_rows", "Rows the last cycle moved."), ("day_rows", "Rows moved in the last 24 hours.")):
        yield from _head(name, text)
        for row in rows:
            rows_of = row.day if name == "day_rows" else row.last
            if rows_of is not None:
                yield from (f'querymirror_{name}{{pipeline="{row.id}",kind="{kind}"}} {getattr(rows_of, kind)}' for kind in _MOVED)
    yield from _head("state", "1 for the state that the pipeline is in.")
    for row in rows:
        yield from (f'querymirror_state{{pipeline="{row.id}",state="{state}"}} {int(state == row.state)}' for state in get_args(State))


def _gauge(name: str, text: str, rows: Sequence[PipelineRow], value: Callable[[PipelineRow], float | None]) -> Iterator[str]:
    yield from _head(name, text)
    for row in rows:
        found = value(row)
        if found is not None:
            yield f'querymirror_{name}{{pipeline="{row.id}"}} {found:.15g}'


def _head(name: str, text: str) -> Iterator[str]:
    yield f"# HELP querymirror_{name} {text}"
    yield f"# TYPE querymirror_{name} gauge"


def _seconds(moment: str) -> float | None:
    return datetime.fromisoformat(moment).timestamp() if moment else None
