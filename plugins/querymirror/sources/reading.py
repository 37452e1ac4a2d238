"""Streams rows and keys out of the source: each stream from one snapshot, in a session of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
from psycopg import sql

from querymirror.connections import Address
from querymirror.facts import Column, Shape
from querymirror.pg.session import connect_async, translated
from querymirror.records import Batch
from querymirror.sources import queries
from querymirror.sources.copying import copy_out, joined_binary, joined_text
from querymirror.spec.pipeline import PipelineSpec

KEYS_PER_READ = 5_000  # keys of a change that are read together; bounds a worker's memory


@dataclass(frozen=True)
class Reading:
    """What a stream needs to know.

    Attributes:
        columns: of the query.
        change_columns: of each change's `keys_sql`.
    """

    spec: PipelineSpec
    address: Address
    columns: Sequence[Column]
    change_columns: Mapping[str, Sequence[Column]]

    async def rows(self, batch: Batch, shape: Shape) -> AsyncIterator[bytes]:
        """Yields the rows of a batch in the target's format, cut anywhere."""
        async with self._session() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
            version = await self._version(conn)
            joined = joined_binary if shape.format == "binary" else joined_text
            async for data in joined(self._parts(conn, batch, shape, version)):
                # NDJSON comes as two columns; what stands between them becomes the line break that _bulk wants.
                yield data.replace(b"\x02", b"\n") if shape.format == "ndjson" else data

    async def keys(self, query: sql.Composed, shape: Shape) -> AsyncIterator[bytes]:
        """Yields what a query of keys returns: COPY text, for `ndjson` shapes a JSON string a line."""
        options = queries.NDJSON_OPTIONS if shape.format == "ndjson" else {"format": "text"}
        async with self._session() as conn:
            async for data in copy_out(conn, query.as_string(None), **options):
                yield data

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[asyncpg.Connection]:
        with translated(self.address.conn_id):
            conn = await connect_async(self.address, read_only=True, statement_timeout=self.spec.source.statement_timeout)
            try:
                yield conn
            finally:
                await conn.close(timeout=5)

    @staticmethod
    async def _version(conn: asyncpg.Connection) -> int:
        """Fixes the snapshot and returns its time in microseconds: of two readings the later one wins in the target."""
        return int(await conn.fetchval("SELECT (extract(epoch FROM statement_timestamp()) * 1000000)::bigint"))

    async def _parts(self, conn: asyncpg.Connection, batch: Batch, shape: Shape, version: int) -> AsyncIterator[AsyncIterator[bytes]]:
        selection = queries.Selection(self.columns, shape)
        options = queries.NDJSON_OPTIONS if shape.format == "ndjson" else {"format": shape.format}
        rows = queries.subselect(self.spec.source.query.text)
        async for condition in self._conditions(conn, batch, selection):
            query = sql.SQL("SELECT {} FROM {} WHERE {}").format(selection.output(version), rows, condition)
            yield copy_out(conn, query.as_string(None), **options)

    async def _conditions(self, conn: asyncpg.Connection, batch: Batch, selection: queries.Selection) -> AsyncIterator[sql.Composable]:
        key = [self._column(name) for name in self.spec.source.primary_key]
        if batch.kind == "keys":
            yield queries.in_keys(key, batch.keys)
            return
        if batch.kind != "changes":
            cursor = self.spec.source.cursor_column
            yield queries.batch_condition(batch, selection, self._column(cursor) if cursor else None, key[0])
            return
        change = next(c for c in self.spec.source.changes if c.name == batch.stream)
        names = sql.SQL(", ").join(sql.SQL("{}::text").format(queries.column(c.name)) for c in self.change_columns[change.name][:-1])
        keys = queries.subselect(queries.keys_query(change.keys_sql.text, batch.window).as_string(None))
        cursor_of_keys = await conn.cursor(sql.SQL("SELECT DISTINCT {} FROM {}").format(names, keys).as_string(None))
        while rows := await cursor_of_keys.fetch(KEYS_PER_READ):
            yield queries.in_keys(key, [tuple(row) for row in rows])

    def _column(self, name: str) -> Column:
        return next(c for c in self.columns if c.name == name)
