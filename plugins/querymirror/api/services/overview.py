"""All pipelines at a glance, read once for everybody who looks at the same moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Generic, TypeVar

from sqlalchemy.orm import Session

from querymirror.api.datamodels import Counts, DayRows, PipelineRow
from querymirror.api.plain import plain
from querymirror.api.services.history import read_days, read_history
from querymirror.api.services.rows import broken_row, good_row
from querymirror.api.services.servers import opened, within
from querymirror.api.services.specs import SpecFolder
from querymirror.errors import PipelineError

Value = TypeVar("Value")

_FRESH = 1.5  # seconds a list is kept; many viewers cost no more than one
_DAYS_FRESH = 10.0  # seconds; the totals of a day read a day of runs
_COUNT_TIMEOUT = 10  # seconds


class Kept(Generic[Value]):
    """A value that is read again after a while, by one thread; the others wait for it.

    Args:
        seconds: how long it is kept.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._lock, self._until = seconds, threading.Lock(), 0.0
        self._value: Value | None = None

    def get(self, read: Callable[[], Value]) -> Value:
        """Returns the value, reading it where it is too old."""
        with self._lock:
            if self._value is None or time.monotonic() > self._until:
                self._value = read()
                self._until = time.monotonic() + self._seconds
            return self._value

    def forget(self) -> None:
        """Reads it again at the next look."""
        self._until = 0.0


class Overview:
    """The list of all pipelines.

    Args:
        folder: the specs.
    """

    def __init__(self, folder: SpecFolder) -> None:
        self._folder = folder
        self._rows: Kept[list[PipelineRow]] = Kept(_FRESH)
        self._days: Kept[dict[str, DayRows]] = Kept(_DAYS_FRESH)
        self._counts: dict[str, Counts] = {}

    def rows(self, session: Session) -> list[PipelineRow]:
        """Returns one line a pipeline, worst first, then by name."""
        return self._rows.get(lambda: self._read(session))

    def row(self, session: Session, pipeline: str) -> PipelineRow | None:
        """Returns the line of one pipeline."""
        return next((row for row in self.rows(session) if row.id == pipeline), None)

    def forget(self) -> None:
        """Makes the next look a new one, after something was done."""
        self._rows.forget()

    def count(self, pipeline: str) -> Counts:
        """Counts both sides now, within a bound, and keeps the answer for the list.

        Raises:
            SpecError: the spec is broken.
            RequestError: 404.
        """
        spec = self._folder.spec(pipeline)
        settings = self._folder.settings()

        def both() -> Counts:
            with opened(spec, settings, statement_timeout=_COUNT_TIMEOUT) as cycle:
                there = cycle.target.identity() is not None
                source, target = cycle.source.count(), cycle.target.count() if there else 0
                return Counts(source=source, target=target, rejects=len(cycle.target.rejects()) if there else 0, at=_now())

        try:
            found = within(_COUNT_TIMEOUT * 2, both, where=pipeline)
        except PipelineError as err:
            found = Counts(at=_now(), error=plain(err.what))
        self._counts[pipeline] = found
        self.forget()
        return found

    def _read(self, session: Session) -> list[PipelineRow]:
        loaded, ids = self._folder.loaded(), self._folder.ids()
        found = read_history(session, ids)
        days = self._days.get(lambda: read_days(session, ids))
        rows = [broken_row(pipeline, error) for pipeline, error in loaded.broken.items() if pipeline in ids]
        rows += [good_row(spec, found, days.get(spec.id, DayRows()), self._counts.get(spec.id)) for spec in loaded.specs.values()]
        return sorted(rows, key=lambda row: (row.severity, row.id))


def _now() -> str:
    return datetime.now(UTC).isoformat()
