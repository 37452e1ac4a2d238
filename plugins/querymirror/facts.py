"""What was seen of a source or a target: columns, counters, plans, and the form in which rows travel; frozen values.

Cursor values and keys are PostgreSQL's own text form, so that any type compares exactly.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen JSON value; fields that a newer version wrote are passed over, so that processes may be updated one by one."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def to_json(self) -> dict[str, Any]:
        """Returns the value as JSON-able dicts and lists."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Reads what `to_json` wrote."""
        return cls.model_validate(data)


class Column(Record):
    """A column of the query's result or of a target table.

    Attributes:
        name: as PostgreSQL has it, unquoted.
        type: the type a target stores it in, with its modifier (`numeric(12,2)`): domains as their base type, enums and composites as text.
        source_type: the type it has where it comes from.
        builtin: whether `type` exists in every PostgreSQL.
        nested: whether its JSON form is an object (composites, hstore), or an array of objects.
    """

    name: str
    type: str
    source_type: str
    builtin: bool = True
    nested: bool = False


class Origin(Record):
    """The column of a base table that a column of a query shows unchanged.

    Attributes:
        oid: of the table.
        schema_name, table, column: its names.
        type: of the column.
        indexed: whether its highest value is found without reading the table.
        parts: oids of the table's partitions and of tables that inherit from it.
        names_key: whether the same table's rows name the keys (of a change): an update can then leave a key behind.
    """

    oid: int
    schema_name: str
    table: str
    column: str
    type: str
    indexed: bool = False
    parts: tuple[int, ...] = ()
    names_key: bool = False


class TableProbe(Record):
    """What the source's statistics say of one base table; two equal probes mean: nothing counted has changed.

    Attributes:
        name: schema.table.
        relkind: PostgreSQL's letter.
        inserted, updated, deleted: rows since the last statistics reset, rolled-back ones included.
        filenode: moves with TRUNCATE and rewrites.
        shape: hash of the columns.
    """

    oid: int
    name: str
    relkind: str
    inserted: int
    updated: int
    deleted: int
    filenode: int
    shape: str


class Probe(Record):
    """Counters of every base table of a query, and what would make them meaningless.

    Attributes:
        tables: one per base table, by oid.
        epoch: both `stats_reset` times (when they move the counters started over) and a hash of the definitions of views and functions.
        blind: why counters can't be trusted here (a replica, a foreign table, statistics off); empty = they can.
        cursors: highest cursor of each stream whose column is indexed (`main` and the names of `changes`).
    """

    tables: tuple[TableProbe, ...] = ()
    epoch: str = ""
    blind: str = ""
    cursors: dict[str, str | None] = {}


class QueryFacts(Record):
    """What the plan of the query tells about which changes can touch which rows.

    Attributes:
        scans: how often each base table is read, by oid; a partition counts by itself.
        reshuffles: whether a row can change because another one did (window functions, LIMIT, DISTINCT, set operations).
        filtered: whether anything narrows the rows of the tables read.
        filling: tables, by oid, that only fill columns: whatever is written there, the same rows are in the result.
        restless: a function in the plan whose answer moves by itself (`now()`, `random()`); empty = none.
        rows: the planner's estimate of the result.
    """

    scans: dict[int, int] = {}
    reshuffles: bool = False
    filtered: bool = False
    filling: frozenset[int] = frozenset()
    restless: str = ""
    rows: float = 0.0


class Horizon(Record):
    """The source at the start of a reading.

    Attributes:
        highs: highest cursor of each stream, None where a table has no row.
        open: transactions open after the highs were read.
        at: the source's time, ISO 8601.
    """

    highs: dict[str, str | None] = {}
    open: tuple[str, ...] = ()
    at: str = ""


class WireColumn(Record):
    """A column on its way to the target.

    Attributes:
        name: in the query's result.
        type: the type in which it travels; the target's staging column has it too.
        target: its name in the target.
        compared_as: the type in which both sides' values are hashed and compared.
        compared: whether an upsert overwrites it, so that a difference counts.
    """

    name: str
    type: str
    target: str
    compared_as: str
    compared: bool = True


class Shape(Record):
    """The form in which a target takes rows from a source.

    Attributes:
        format: `binary` or `text` (COPY), `ndjson` (bulk action and document lines).
        columns: what each row holds, in order.
        key: those of `columns` that are the primary key, by name in the query's result.
        orphan_key: those by which orphans are found.
    """

    format: Literal["binary", "text", "ndjson"]
    columns: tuple[WireColumn, ...]
    key: tuple[str, ...]
    orphan_key: tuple[str, ...]


Checksums = dict[int, tuple[int, int]]
"""Bucket -> (rows, xor of their hashes)."""

Key = tuple[str | None, ...]
"""A key's column values in PostgreSQL's text form."""
