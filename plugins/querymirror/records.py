"""The frozen values that pass between the steps of a cycle; all of them round-trip through JSON.

Steps hand each other bounds, counts and cursors, never rows: what stands here is small enough for an Airflow XCom.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from querymirror.buckets import Buckets
from querymirror.facts import Key, Origin, Probe, Record

Mode = Literal["incremental", "full_refresh", "verify"]


class Window(Record):
    """Cursor values one run reads: low <= cursor < high; None = open on that side."""

    low: str | None = None
    high: str | None = None


class RunRequest(Record):
    """What one run of a pipeline is asked to do.

    Attributes:
        run_id: unique per run (Airflow's run id).
        mode: see `Mode`.
        window: re-read just these cursor values; such a run (a backfill) never moves the state.
        allow_mass_delete: leave to delete more than `max_delete_share`.
    """

    run_id: str
    mode: Mode = "incremental"
    window: Window | None = None
    allow_mass_delete: bool = False


class Detection(Record):
    """What `detect_changes` found.

    Attributes:
        changed: whether the cycle goes on.
        reasons: why, in words, for logs and the page.
        full: the whole query must be read (first load, target gone, new spec, by request).
        compare: source and target must be compared by content.
        check_orphans: rows may have left the query.
        check_counts: a key may have changed; counts of both sides tell.
        counted: see `PipelineState`.
        probe: the source's counters, read before any snapshot of this cycle.
        target_identity: the target as it was found; None = there is none.
    """

    changed: bool
    reasons: tuple[str, ...] = ()
    full: bool = False
    compare: bool = False
    check_orphans: bool = False
    check_counts: bool = False
    counted: dict[str, Any] | None = None
    probe: Probe = Probe()
    target_identity: dict[str, Any] | None = None


class Ensured(Record):
    """What `ensure_target` left behind.

    Attributes:
        empty: whether the target holds no row.
        refill: whether the whole query must be read because the target was made anew or adapted.
        physical: the table, or the index behind the alias, that this run writes.
        changes: what was done, in words.
    """

    empty: bool
    refill: bool
    physical: str
    changes: tuple[str, ...] = ()


class Foreseen(Record):
    """What `ensure_target` would do now.

    Attributes:
        exists: whether the target is there.
        empty: whether it holds no row.
        refill: whether the whole query would have to be read because the target is made anew or adapted.
        physical: the table, or the index behind the alias, that the run would write.
        changes: what would be done, in words.
        statements: the DDL or requests that do it.
        writes: the statements or requests that carry rows; empty where they depend on a target that is not there yet.
    """

    exists: bool
    empty: bool
    refill: bool
    physical: str
    changes: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


class Batch(Record):
    """Rows one `upsert` task moves: bounds, never rows.

    Attributes:
        number: position in the run.
        kind: `range` (first-key range of the whole query), `window` (cursor window), `changes` (keys named by a change's
            window), `buckets` (buckets of keys that differed), `keys` (rows by primary key, for a replay).
        stream: `main` or the name of the change.
        window: for `window` and `changes`; for `range` the bounds of the first key column.
        keys: primary keys, for `keys`.
        buckets: for `buckets`.
        direct: the target is empty, rows can be copied straight in.
    """

    number: int
    kind: Literal["range", "window", "changes", "buckets", "keys"]
    stream: str = "main"
    window: Window = Window()
    keys: tuple[Key, ...] = ()
    buckets: tuple[Buckets, ...] = ()
    direct: bool = False


class StreamState(Record):
    """How far one stream (`main`, or one of `changes`) has been read.

    Attributes:
        low: every row below it is loaded; where the next window starts. None = start over.
        high: highest cursor seen; becomes `low` once the transactions of `open` have ended.
        open: transactions that were open when `high` was seen.
        since: when `high` was seen, ISO 8601.
        origin: the base table's column behind the cursor, where there is one.
    """

    low: str | None = None
    high: str | None = None
    open: tuple[str, ...] = ()
    since: str = ""
    origin: Origin | None = None


class Extraction(Record):
    """What `extract` fixed for this run.

    Attributes:
        batches: the work of the upsert tasks.
        streams: the state of each stream once this run is committed.
        highs: highest cursor of each stream at this run's horizon.
        full: whether the batches hold the whole query.
        compared: whether source and target were compared by content.
    """

    batches: tuple[Batch, ...] = ()
    streams: dict[str, StreamState] = Field(default_factory=dict)
    highs: dict[str, str | None] = Field(default_factory=dict)
    full: bool = False
    compared: bool = False


class BatchResult(Record):
    """What one batch did: rows read from the source, written to the target, found equal, refused; seconds; keys of a few rows that differed."""

    number: int = 0
    read: int = 0
    upserted: int = 0
    unchanged: int = 0
    rejected: int = 0
    seconds: float = 0.0
    samples: tuple[str, ...] = ()


class OrphanResult(Record):
    """What `delete_orphans` did.

    Attributes:
        checked: whether the keys were compared.
        counted: see `PipelineState`.
        deleted: rows, by hard or soft delete.
        samples: keys of a few of them.
    """

    checked: bool = False
    counted: dict[str, Any] | None = None
    deleted: int = 0
    seconds: float = 0.0
    samples: tuple[str, ...] = ()


class Reject(Record):
    """A row the target refused, kept until it is replayed or dropped.

    Attributes:
        key: the primary key as a JSON array of texts.
        row: the row as JSON text.
        reason: the target's words.
        run_id, at: when it was refused.
    """

    key: str
    row: str
    reason: str
    run_id: str
    at: str = ""


class Sampled(Record):
    """A row before and after a transform, as JSON text; `after` None = dropped, or refused for `reason`."""

    key: str
    before: str
    after: str | None = None
    reason: str = ""


class CycleSummary(Record):
    """One finished run, for people and metrics.

    Attributes:
        compared: whether source and target were compared in full; what differed was repaired and is counted.
        samples: keys of a few rows that a comparison found different.
        held_back_since: since when open transactions hold the cursor back, ISO 8601; empty = they don't.
    """

    pipeline: str
    run_id: str
    mode: Mode = "incremental"
    outcome: Literal["changed", "quiet"] = "changed"
    reasons: tuple[str, ...] = ()
    read: int = 0
    upserted: int = 0
    unchanged: int = 0
    deleted: int = 0
    rejected: int = 0
    batches: int = 0
    seconds: float = 0.0
    cursor_before: str | None = None
    cursor_after: str | None = None
    held_back_since: str = ""
    finished_at: str = ""
    compared: bool = False
    samples: tuple[str, ...] = ()
