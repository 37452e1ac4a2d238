"""What a run would do to a table: its DDL, and how many rows it would write. Nothing of it stays."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

import asyncpg
import psycopg
from psycopg import sql

from querymirror.facts import Column
from querymirror.records import Batch, BatchResult, Foreseen
from querymirror.targets.base import OpenStream
from querymirror.targets.pg_catalog import DELETED_AT, TargetTable
from querymirror.targets.pg_statements import STAGE, Statements


def foresee_table(table: TargetTable, columns: Sequence[Column], conn: psycopg.Connection[Any], *, soft: bool) -> Foreseen:
    """Returns what `ensure` would do to a table.

    Raises:
        SchemaError: `ensure` would refuse.
    """
    physical, oid = f"{table.schema}.{table.name}", table.oid()
    if oid is None:
        ddl: list[sql.SQL | sql.Composed] = table.creation(columns)
        if soft:
            ddl.append(table.alter([sql.SQL("ADD COLUMN {} timestamptz").format(sql.Identifier(DELETED_AT))]))
        return Foreseen(exists=False, empty=True, refill=True, physical=physical, changes=(f"create table {physical}",), statements=_texts(ddl))
    statement, done = table.adaptation(columns, oid)
    table.require_unique_key(columns, oid)
    row = conn.execute(sql.SQL("SELECT NOT EXISTS (SELECT FROM {})").format(table.identifier)).fetchone()
    words = tuple(d.replace("added", "add", 1).replace("widened", "widen", 1) for d in done)
    return Foreseen(
        exists=True,
        empty=bool(row and row[0]),
        refill=any(not d.startswith("widened") for d in done),
        physical=physical,
        changes=words,
        statements=_texts([statement] if statement else []),
    )


def writes_of(statements: Statements) -> tuple[str, ...]:
    """Returns the statements that carry a batch's rows and delete orphans, in their order; the keys of orphans stand for those found."""
    copy = sql.SQL("COPY {} FROM STDIN").format(STAGE)
    return _texts([statements.create_stage(), copy, statements.merge(), statements.remove([])])


def _texts(statements: Sequence[sql.Composable]) -> tuple[str, ...]:
    return tuple(s.as_string(None) for s in statements)


async def compare_staged(opened: Awaitable[asyncpg.Connection], statements: Statements, open_stream: OpenStream, batch: Batch, *, names: int) -> BatchResult:
    """Copies a batch into a temporary table, counts what a merge would write, and rolls back; takes no lock that a run waits for."""
    conn = await opened
    transaction = conn.transaction()
    try:
        await transaction.start()
        await conn.execute(statements.create_stage().as_string(None))
        columns = [w.target for w in statements.shape.columns]
        status = await conn.copy_to_table("querymirror_stage", source=open_stream(), columns=columns, format=statements.shape.format)
        await conn.execute(sql.SQL("ANALYZE {}").format(STAGE).as_string(None))
        count, samples = await conn.fetchrow(statements.differences(names).as_string(None))
        await transaction.rollback()
    finally:
        await conn.close(timeout=5)
    read = int(status.split()[-1])
    return BatchResult(number=batch.number, read=read, upserted=int(count), unchanged=read - int(count), samples=tuple(samples or ()))
