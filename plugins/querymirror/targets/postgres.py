"""A PostgreSQL table as a target."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import asyncpg
import psycopg
from psycopg import sql

from querymirror.buckets import Buckets, Span
from querymirror.connections import Address
from querymirror.facts import Checksums, Column, Shape
from querymirror.pg.bucketing import read_ends
from querymirror.pg.counters import read_counters
from querymirror.pg.session import connect, connect_async, translated
from querymirror.records import Batch, BatchResult, Ensured, Foreseen, Reject, RunRequest
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.target import PostgresTarget
from querymirror.targets.base import OpenKeys, OpenStream, OrphanSearch
from querymirror.targets.pg_catalog import DELETED_AT, TargetTable
from querymirror.targets.pg_foreseeing import compare_staged, foresee_table, writes_of
from querymirror.targets.pg_loading import Load
from querymirror.targets.pg_orphans import table_orphans
from querymirror.targets.pg_rejects import RejectsTable
from querymirror.targets.pg_statements import Statements

STATEMENT_TIMEOUT = 6 * 3600  # seconds; a bound on what one statement may take in the target


class PostgresTable:
    """Writes one pipeline's table.

    Args:
        spec: the pipeline.
        target: its target.
        address: the target's server.
    """

    def __init__(self, spec: PipelineSpec, target: PostgresTarget, address: Address) -> None:
        self._spec, self._target, self._address = spec, target, address
        self._last: Statements | None = None

    @cached_property
    def _conn(self) -> psycopg.Connection[Any]:
        return connect(self._address, read_only=False, statement_timeout=STATEMENT_TIMEOUT)

    @cached_property
    def _table(self) -> TargetTable:
        return TargetTable(self._spec, self._target, self._conn)

    def identity(self) -> dict[str, Any] | None:
        """Returns oid, file and counters of the table: any of them moves when somebody else writes or replaces it."""
        with translated(self._address.conn_id):
            oid = self._table.oid()
            if oid is None:
                return None
            # What this very session wrote counts at once, not up to 10 seconds later.
            self._conn.execute("SELECT pg_stat_force_next_flush()")
            probe = read_counters(self._conn, [oid])
            # A read-only look must not raise, and a table that vanished meanwhile is no table.
            return {"id": oid, "epoch": probe.epoch, **probe.tables[0].model_dump(mode="json", exclude={"relkind", "oid"})} if probe.tables else None

    def ensure(self, columns: Sequence[Column]) -> Ensured:
        """Creates or adapts schema, table and columns."""
        with translated(self._address.conn_id):
            done: list[str] = []
            oid = self._table.oid()
            if oid is None:
                self._table.create(columns)
                done.append(f"created table {self._table.schema}.{self._table.name}")
                oid = self._table.oid() or 0
            done += self._table.adapt(columns, oid)
            self._table.require_unique_key(columns, oid)
            empty = self._conn.execute(sql.SQL("SELECT NOT EXISTS (SELECT FROM {})").format(self._table.identifier)).fetchone()
            return Ensured(
                empty=bool(empty and empty[0]),
                refill=any(not c.startswith("widened") for c in done),
                physical=f"{self._table.schema}.{self._table.name}",
                changes=tuple(done),
            )

    def foresee(self, columns: Sequence[Column]) -> Foreseen:
        """Returns the DDL that `ensure` would run; writes nothing."""
        with translated(self._address.conn_id):
            seen = foresee_table(self._table, columns, self._conn, soft=self._spec.delete_missing == "soft")
            fits = seen.exists and not seen.refill
            return seen.model_copy(update={"writes": writes_of(self._statements(self.shape(columns)))}) if fits else seen

    def compare(self, open_stream: OpenStream, batch: Batch, shape: Shape, *, names: int) -> BatchResult:
        """Counts the rows of a batch that differ from the table's, in a temporary table of one transaction that is rolled back."""
        with translated(self._address.conn_id):
            opened = connect_async(self._address, read_only=False, statement_timeout=STATEMENT_TIMEOUT)
            return asyncio.run(compare_staged(opened, self._statements(shape), open_stream, batch, names=names))

    def shape(self, columns: Sequence[Column]) -> Shape:
        """Returns the form in which the table takes the query's rows."""
        with translated(self._address.conn_id):
            return self._table.shape(columns, self._table.oid() or 0)

    def _statements(self, shape: Shape) -> Statements:
        """Returns the statements for the table as it is when it is first asked for this very shape: a step asks some times in a row."""
        if self._last is None or self._last.shape is not shape:
            self._last = self._make_statements(shape)
        return self._last

    def _make_statements(self, shape: Shape) -> Statements:
        names = {w.name: w.target for w in shape.columns}
        own = self._table.columns(self._table.oid() or 0)
        soft = self._spec.delete_missing == "soft" and DELETED_AT in own
        return Statements(self._table.identifier, own, shape, keys=[names[k] for k in shape.key], soft=soft)

    def upsert(self, open_stream: OpenStream, batch: Batch, request: RunRequest, shape: Shape, *, clock: Callable[[], int]) -> BatchResult:
        """Inserts or replaces a batch's rows, those that differ only, in one transaction."""
        with translated(self._address.conn_id):
            load = Load(
                pipeline=self._spec.id,
                schema=self._table.schema,
                name=self._table.name,
                statements=self._statements(shape),
                batch=batch,
                request=request,
                keep_rejects=self._spec.on_reject == "dead_letter",
                key=shape.key,
            )
            try:
                return asyncio.run(self._load(load, open_stream))
            except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
                if not batch.direct:
                    raise
                # Straight COPY stops at the first row that is there already (an earlier attempt's) or that the table refuses.
                staged = load.batch.model_copy(update={"direct": False})
                return self.upsert(open_stream, staged, request, shape, clock=clock)

    async def _load(self, load: Load, open_stream: OpenStream) -> BatchResult:
        conn = await connect_async(self._address, read_only=False, statement_timeout=STATEMENT_TIMEOUT)
        try:
            async with conn.transaction():
                result, rejects = await load.run(conn, open_stream)
                load.check(rejects)
                if rejects:
                    letters = RejectsTable(self._table.schema, self._table.name)
                    await conn.execute(letters.create())
                    await conn.executemany(letters.insert(), [(r.key, r.row, r.reason, r.run_id) for r in rejects])
                await conn.execute("SELECT pg_stat_force_next_flush()")
            return result
        finally:
            await conn.close(timeout=5)

    def key_ends(self, shape: Shape, spans: Sequence[Span] = ()) -> list[Span] | None:
        """Returns the least and the greatest key in each span; those of rows that are marked deleted count too."""
        with translated(self._address.conn_id):
            query = self._statements(shape).key_ends(spans)
            return None if query is None else read_ends(self._conn, query)

    def checksums(self, shape: Shape, buckets: Buckets, *, content: bool, spans: Sequence[Span] = ()) -> Checksums:
        """Returns count and hash of each bucket of keys, computed as the source does."""
        with translated(self._address.conn_id):
            query = self._statements(shape).checksums(buckets, content=content, spans=spans)
            return {b: (n, x) for b, n, x in self._conn.execute(query).fetchall()}

    def orphans(self, open_keys: OpenKeys, buckets: Sequence[Buckets], shape: Shape, *, dry: bool = False) -> AbstractContextManager[OrphanSearch]:
        """Finds the rows of some buckets whose key the source did not return."""
        name = None if dry else f"querymirror:{self._table.schema}.{self._table.name}"
        with translated(self._address.conn_id):
            statements = self._statements(shape)
        return table_orphans(self._address, statements, open_keys, buckets, lock_name=name, statement_timeout=STATEMENT_TIMEOUT)

    def count(self) -> int:
        """Counts the live rows."""
        with translated(self._address.conn_id):
            own = self._table.columns(self._table.oid() or 0)
            soft = self._spec.delete_missing == "soft" and DELETED_AT in own
            live = sql.SQL("{} IS NULL").format(sql.Identifier(DELETED_AT)) if soft else sql.SQL("true")
            row = self._conn.execute(sql.SQL("SELECT count(*) FROM {} WHERE {}").format(self._table.identifier, live)).fetchone()
            return int(row[0]) if row else 0

    def finish(self, columns: Sequence[Column]) -> None:
        """Nothing to do: what was committed is visible."""

    def rejects(self) -> list[Reject]:
        """Lists the rows kept aside."""
        with translated(self._address.conn_id):
            return RejectsTable(self._table.schema, self._table.name).list(self._conn)

    def keep_rejects(self, rejects: Sequence[Reject]) -> None:
        """Keeps rows aside that never came here."""
        with translated(self._address.conn_id):
            RejectsTable(self._table.schema, self._table.name).keep(self._conn, rejects)

    def drop_rejects(self, keys: Sequence[str] | None = None) -> int:
        """Forgets rows kept aside, all of them without `keys`."""
        with translated(self._address.conn_id):
            return RejectsTable(self._table.schema, self._table.name).drop(self._conn, keys)

    def close(self) -> None:
        """Closes the session, where one was opened."""
        if "_conn" in self.__dict__:
            self._conn.close()
