"""One pipeline: one spec file, one DAG, one source, one target."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

from pydantic import Field

from querymirror.spec.base import CodeText, SpecModel, SqlText
from querymirror.spec.durations import Interval
from querymirror.spec.source import PostgresSource
from querymirror.spec.target import Target

DeleteMissing = Literal["hard", "soft", "off"]


class PipelineSpec(SpecModel):
    """Everything one spec file says, with its defaults filled in and the files it names read."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,199}$", description="The file's name without its ending.")]
    description: str = ""
    source: PostgresSource
    target: Target
    schedule: Annotated[str | None, Field(description="Cron expression, five fields, UTC; null = only by hand.")] = "*/5 * * * *"
    watch: Annotated[
        Interval,
        Field(description="How often the source's counters are looked at, beside the schedule; when they move a cycle starts; null = never."),
    ] = None
    delete_missing: Annotated[DeleteMissing, Field(description="What happens to a target row whose key the query no longer returns.")] = "hard"
    keys_sql: Annotated[SqlText | None, Field(description="A cheaper query of the keys: returns exactly the key columns.")] = None
    key_columns: tuple[str, ...] = ()
    lag: Annotated[float, Field(ge=0, le=86_400, description="Seconds re-read below the cursor; 0 = none.")] = 60
    batch_size: Annotated[int, Field(ge=1, le=10_000_000, description="Rows per batch; each batch is one mapped task.")] = 500_000
    parallelism: Annotated[int, Field(ge=1, le=64, description="Batches that run at the same time.")] = 2
    retries: Annotated[int, Field(ge=0, le=20, description="Attempts after the first.")] = 2
    retry_delay: Annotated[float, Field(ge=1, le=3600, description="Seconds before the second attempt; doubled for each further one.")] = 1
    max_delete_share: Annotated[float, Field(ge=0, le=1, description="Share of the target one run may delete, for targets above 1,000 rows.")] = 0.5
    on_reject: Annotated[Literal["fail", "dead_letter"], Field(description="What happens when the target refuses a row.")] = "fail"
    on_schema_change: Annotated[Literal["add_columns", "fail"], Field(description="What happens when the query has a column the target lacks.")] = "add_columns"
    reconcile_every: Annotated[float, Field(ge=60, le=604_800, description="Seconds; a full comparison runs at least this often.")] = 3600
    verify_schedule: Annotated[str | None, Field(description="Cron expression of a verify run of its own; null = on demand.")] = None
    deadline: Annotated[float | None, Field(ge=1, le=604_800, description="Seconds from when a run is queued; one that takes longer is told; null = none.")] = (
        None
    )
    transform: Annotated[str | None, Field(description="module:function under include/transforms.")] = None
    transform_code: Annotated[CodeText | None, Field(description="The file that `transform` names, read by the loader.")] = None
    after: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    owner: str = "querymirror"
    paused: Annotated[bool, Field(description="Whether the DAG starts paused when it first appears.")] = False

    @property
    def orphan_key(self) -> tuple[str, ...]:
        """Columns by which orphans are found: `KEY_COLUMNS` of the second form, else the primary key."""
        return self.key_columns or self.source.primary_key

    def fingerprint(self) -> str:
        """Hash of what decides the target's content and form; a spec whose fingerprint moved redoes its target."""
        parts = {
            "query": self.source.query.text,
            "primary_key": self.source.primary_key,
            "cursor_column": self.source.cursor_column,
            "target": self.target.model_dump(mode="json", exclude={"create_sql"}),
            "transform": self.transform if self.transform_code is None else [self.transform, self.transform_code.text],
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
