"""What the API answers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from querymirror.plan.sync_plan import SyncPlan
from querymirror.records import Mode

State = Literal["idle", "requested", "running", "paused", "failed", "behind", "never run"]
Level = Literal["bad", "warn", "busy", "good", "off"]


class ErrorBody(BaseModel):
    """Every error of the API, and the last error of a pipeline: what, where, how to fix, and one word for programs."""

    what: str
    where: str
    fix: str
    code: str


class Health(BaseModel):
    """How a pipeline is, in words; `level` is for colours and order."""

    level: Level
    text: str


class Rows(BaseModel):
    """Rows moved, by one cycle or by several."""

    read: int = 0
    upserted: int = 0
    unchanged: int = 0
    deleted: int = 0
    rejected: int = 0


class DayRows(Rows):
    """Rows moved in the last 24 hours, and how many cycles did that."""

    changed: int = 0
    finished: int = 0
    failed: int = 0


class Counts(BaseModel):
    """Rows on both sides; None = could not be counted, `error` says why."""

    source: int | None = None
    target: int | None = None
    rejects: int | None = None
    at: str
    error: str = ""


class CycleRow(Rows):
    """One run: when, how it ended, what it moved. `outcome` of a run that ended: changed, quiet, failed."""

    run_id: str
    outcome: Literal["requested", "running", "changed", "quiet", "failed"]
    by: str
    mode: Mode = "incremental"
    window: bool = False
    queued_at: str = ""
    started_at: str = ""
    ended_at: str = ""
    seconds: float = 0.0


class PipelineRow(BaseModel):
    """One line of the list. Times are ISO 8601, durations seconds.

    Attributes:
        fresh_at: the target is the source as it was then; empty = never filled.
        lag_seconds: since `fresh_at`.
        interval_seconds: between two scheduled cycles; 0 = no schedule.
        day: the last 24 hours.
        cycles: the last 20, newest first.
        may_edit: whether the one who asks may act on it.
    """

    id: str
    description: str
    owner: str
    tags: list[str]
    schedule: str | None
    source: str
    target: str
    target_type: str
    state: State
    health: Health
    severity: int
    fresh_at: str
    lag_seconds: float | None
    interval_seconds: float
    paused: bool
    last: CycleRow | None
    day: DayRows
    counts: Counts | None
    cycles: list[CycleRow]
    next_run: str
    error: ErrorBody | None
    may_edit: bool = False


class PipelineList(BaseModel):
    """All pipelines that the one who asks may read, worst first."""

    pipelines: list[PipelineRow]
    now: str
    may_create: bool
    read_only: bool


class TaskTime(BaseModel):
    """What one task of a run took; the parts of a mapped task are added up."""

    task: str
    state: str
    seconds: float
    parts: int
    tries: int


class StreamRow(BaseModel):
    """How far one stream has been read, see docs/guarantees.md."""

    name: str
    low: str | None
    high: str | None
    waits_for: int
    since: str


class ProblemRow(BaseModel):
    """One thing wrong with a spec; `line` is 1-based, 0 = the file as a whole."""

    file: str
    line: int
    where: str
    what: str
    fix: str


class Detail(BaseModel):
    """One pipeline in full.

    Attributes:
        file: the spec's file as people know it; text: what it says; etag: for `If-Match` of a PUT.
        spec: with its defaults filled in; None where it is broken.
        problems: what is wrong with the spec.
        compared_at: when source and target were last compared in full.
    """

    pipeline: PipelineRow
    file: str
    text: str
    etag: str
    spec: dict[str, Any] | None
    problems: list[ProblemRow]
    runs: list[CycleRow]
    tasks: list[TaskTime]
    tasks_of: str
    cursor_before: str | None
    cursor_after: str | None
    held_back_since: str
    reasons: list[str]
    streams: list[StreamRow]
    compared_at: str
    verified: CycleRow | None


class Validation(BaseModel):
    """What is wrong with a spec; nothing = it can be saved."""

    valid: bool
    problems: list[ProblemRow]


class PlanAnswer(BaseModel):
    """What a run would do now; nothing was written.

    Attributes:
        plan: reasons, DDL, reads with their SQL, rows to write and to delete.
        counts: rows of the query and of the target.
        target_exists: whether the table or index is there.
        columns: (name, type) of the query's result.
        query: the spec's SQL.
    """

    plan: SyncPlan
    counts: Counts
    target_exists: bool
    columns: list[tuple[str, str]]
    query: str


class Requested(BaseModel):
    """A run that was asked for."""

    pipeline: str
    run_id: str


class Done(BaseModel):
    """What was done, in words."""

    done: str


class ColumnRow(BaseModel):
    """A column of the query and where it goes; `target` None = the target has none like it."""

    name: str
    type: str
    key: bool
    target: str | None
    stored_as: str | None


class SchemaAnswer(BaseModel):
    """The query's columns beside the target's; `drift` says what differs."""

    columns: list[ColumnRow]
    drift: list[str]


class RejectRow(BaseModel):
    """A row the target refused."""

    key: str
    row: str
    reason: str
    run_id: str
    at: str


class RejectList(BaseModel):
    """The newest rejects and how many there are."""

    rejects: list[RejectRow]
    total: int


class Replayed(BaseModel):
    """What became of rows that were tried again: read from the source, written, refused once more."""

    read: int
    written: int
    refused: int


class ServerHealth(BaseModel):
    """Whether a connection answers, and how fast; `error` in words."""

    conn_id: str
    ok: bool
    seconds: float
    error: str = ""


class PipelineHealth(BaseModel):
    """A pipeline's state and whether its two sides answer."""

    id: str
    state: State
    health: str
    source: str
    target: str


class HealthAnswer(BaseModel):
    """`ok` only if Airflow's parts, all servers and all pipelines are well."""

    status: Literal["ok", "degraded"]
    airflow: dict[str, str]
    servers: list[ServerHealth]
    pipelines: list[PipelineHealth]
