"""What one run would do, as a value: it can be printed, compared and kept."""

from __future__ import annotations

from querymirror.facts import Record
from querymirror.records import Mode, Window


class PlannedBatch(Record):
    """One read of a run.

    Attributes:
        kind, stream, window: see `Batch`.
        buckets: how many key ranges a comparison found different.
        sql: the query that reads it, for people.
        read, upserted: rows; None = not counted, see `SyncPlan.exact`.
    """

    kind: str
    stream: str = "main"
    window: Window = Window()
    buckets: int = 0
    sql: str = ""
    read: int | None = None
    upserted: int | None = None


class SyncPlan(Record):
    """What a run would do.

    Attributes:
        changed: whether the run would go on after its first look; nothing else is known where it would not.
        reasons: why, in words.
        full: the whole query would be read.
        compared: source and target would be compared in full.
        changes: what would be done to the target, in words.
        statements: the DDL or requests that do it.
        writes: the statements or requests that carry rows.
        upserted: rows that would be written; without `exact` at most so many.
        deleted: rows that would be deleted or marked; None = known once the target is adapted.
        exact: whether rows were compared with those of the target.
        samples: keys of a few rows that differ.
        refused: why the run would fail, and what to do about it; empty = it would not.
    """

    pipeline: str
    mode: Mode = "incremental"
    changed: bool = False
    reasons: tuple[str, ...] = ()
    full: bool = False
    compared: bool = False
    physical: str = ""
    changes: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    batches: tuple[PlannedBatch, ...] = ()
    upserted: int = 0
    deleted: int | None = 0
    exact: bool = True
    samples: tuple[str, ...] = ()
    refused: str = ""

    @property
    def writes_something(self) -> bool:
        """Whether the run would change the target in any way."""
        return bool(self.changes or self.upserted or self.deleted or self.refused)
