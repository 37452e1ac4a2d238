"""The source of a pipeline with a transform whose target is a table: PostgreSQL turns the documents into rows of the table's types."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from functools import cached_property
from typing import Any

import asyncpg
import psycopg
from psycopg import sql

from querymirror.buckets import Buckets, Span
from querymirror.facts import Checksums, Column, Shape
from querymirror.pg.session import connect, connect_async, translated
from querymirror.records import Batch
from querymirror.sources import queries
from querymirror.sources.converting import UNFIT, relation, table_columns
from querymirror.sources.copying import copy_out, joined_binary, joined_text
from querymirror.sources.transformed import EVERYTHING, TransformedReader, staying
from querymirror.sources.transforming import Outcome, RawRow, Transform

Sums = dict[int, tuple[int, int]]


class TransformedTableReader(TransformedReader):
    """Reads one pipeline's query, calls its function, and hands on rows of the table's columns."""

    @cached_property
    def _made(self) -> tuple[Column, ...]:
        return table_columns(self._spec, self._columns, self._conn)

    @cached_property
    def _made_key(self) -> tuple[Column, ...]:
        return tuple(next(c for c in self._made if c.name == name) for name in self._source.primary_key)

    @cached_property
    def _transform(self) -> Transform:
        return Transform(self._function(), self._source.primary_key, tuple(c.name for c in self._made))

    @cached_property
    def _beside(self) -> psycopg.Connection[Any]:
        """A session beside the one that reads."""
        return connect(self._address, read_only=True, statement_timeout=self._source.statement_timeout)

    def describe(self) -> tuple[Column, ...]:
        """Returns the columns of what the function returns: those of `create_sql`, without it the query's that are stored."""
        with translated(self._address.conn_id):
            return self._made

    def _letter_key(self, row: RawRow) -> str:
        return json.dumps([row.id], ensure_ascii=False) if len(self._source.primary_key) == 1 else row.id

    def checksums(self, shape: Shape, buckets: Buckets, *, content: bool, spans: Sequence[Span] = ()) -> Checksums:
        """Returns count and hash of each bucket of keys, over the keys alone or over all the target stores."""
        if not content and self._keeps_all_rows:
            return super().checksums(shape, buckets, content=False, spans=spans)
        sums: Sums = {}
        with translated(self._address.conn_id):
            for outcome in self._scan():
                unfit = self._add_content(sums, outcome, shape, buckets) if content else [row for row, _ in outcome.kept]
                # A row that is refused counts by its key: no row of the target has this for its content.
                self._add(sums, self._key_sums(shape, buckets), self._made_key, [r.document for r in [*unfit, *(r for r, _ in outcome.refused)]])
        return sums

    def _add_content(self, sums: Sums, outcome: Outcome, shape: Shape, buckets: Buckets) -> list[RawRow]:
        """Adds what the function returned; returns the rows of which PostgreSQL can make none."""
        query, unfit = self._content_sums(shape, buckets), []
        try:
            self._add(sums, query, self._made, [document for _, document in outcome.kept])
        except UNFIT:
            for row, document in outcome.kept:
                try:
                    self._add(sums, query, self._made, [document])
                except UNFIT:
                    unfit.append(row)
        return unfit

    def _content_sums(self, shape: Shape, buckets: Buckets) -> sql.Composed:
        selection = queries.Selection(self._made, shape)
        return _sums(selection.bucketing.number(buckets), selection.content_hash())

    def _key_sums(self, shape: Shape, buckets: Buckets) -> sql.Composed:
        selection = queries.Selection(self._made_key, shape)
        return _sums(selection.bucketing.number(buckets), selection.key_hash(shape.orphan_key))

    def _add(self, sums: Sums, query: sql.Composed, columns: Sequence[Column], documents: Sequence[bytes]) -> None:
        if not documents:
            return
        for bucket, count, hashed in self._beside.execute(sql.SQL("{} FROM {} GROUP BY 1").format(query, relation(columns, documents))).fetchall():
            before = sums.get(bucket, (0, 0))
            sums[bucket] = (before[0] + count, before[1] ^ hashed)

    def stream(self, batch: Batch, shape: Shape) -> AsyncIterator[bytes]:
        """Yields the rows of a batch in the target's format, cut anywhere."""
        self._refused = []
        selection = queries.Selection(self._made, shape)
        inside = queries.batch_condition(batch, selection, None, self._made[0]) if batch.kind == "buckets" else sql.SQL("true")
        # Buckets are of the table's keys, which the query doesn't know: all rows are read, and those of other buckets left out.
        read = EVERYTHING if batch.kind == "buckets" else batch
        joined = joined_binary if shape.format == "binary" else joined_text
        return joined(self._parts(read, selection.output(0), inside, shape.format))

    async def _parts(self, batch: Batch, output: sql.Composed, inside: sql.Composable, form: str) -> AsyncIterator[AsyncIterator[bytes]]:
        async with aclosing(self._calls(batch, self._raw_shape)) as calls:
            conn = await connect_async(self._address, read_only=True, statement_timeout=self._source.statement_timeout)
            try:
                async for outcome in calls:
                    copied, refused = await _copied(conn, outcome.kept, self._made, (output, inside, form))
                    self._refuse([*outcome.refused, *refused])
                    for part in copied:
                        yield _again(part)
            finally:
                await conn.close(timeout=5)

    def stream_keys(self, shape: Shape, buckets: Sequence[Buckets]) -> AsyncIterator[bytes]:
        """Yields the keys of some buckets that the function does not drop, as COPY text; no buckets = all."""
        if self._keeps_all_rows:
            return super().stream_keys(shape, buckets)
        selection = queries.Selection(self._made_key, shape)
        inside = selection.bucketing.meant(buckets)
        names = sql.SQL(", ").join(selection.wire(name) for name in shape.orphan_key)
        return joined_text(self._key_parts(names, inside))

    async def _key_parts(self, names: sql.Composed, inside: sql.Composable) -> AsyncIterator[AsyncIterator[bytes]]:
        async with aclosing(self._calls(EVERYTHING, self._raw_shape)) as calls:
            conn = await connect_async(self._address, read_only=True, statement_timeout=self._source.statement_timeout)
            try:
                async for outcome in calls:
                    documents = [row.document for row in staying(outcome)]
                    if documents:
                        yield copy_out(conn, _select(names, self._made_key, documents, inside), format="text")
            finally:
                await conn.close(timeout=5)

    def close(self) -> None:
        """Closes the sessions, where any were opened."""
        super().close()
        if "_beside" in self.__dict__:
            self._beside.close()


def _sums(bucket: sql.Composable, hashed: sql.Composable) -> sql.Composed:
    return sql.SQL("SELECT {}, count(*), bit_xor({})").format(bucket, hashed)


def _select(output: sql.Composable, columns: Sequence[Column], documents: Sequence[bytes], inside: sql.Composable) -> str:
    return sql.SQL("SELECT {} FROM {} WHERE {}").format(output, relation(columns, documents), inside).as_string(None)


_NOT_FITTING = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)


async def _copied(
    conn: asyncpg.Connection, kept: Sequence[tuple[RawRow, bytes]], columns: Sequence[Column], form: tuple[sql.Composed, sql.Composable, str]
) -> tuple[list[list[bytes]], list[tuple[RawRow, str]]]:
    """Returns COPY streams of the documents, and the rows of which PostgreSQL can make none; nothing is handed on before all of them fit."""
    if not kept:
        return [], []
    output, inside, name = form

    async def copy(documents: Sequence[bytes]) -> list[bytes]:
        return [data async for data in copy_out(conn, _select(output, columns, documents, inside), format=name)]

    try:
        return [await copy([document for _, document in kept])], []
    except _NOT_FITTING:
        copied, refused = list[list[bytes]](), list[tuple[RawRow, str]]()
    for row, document in kept:
        try:
            copied.append(await copy([document]))
        except _NOT_FITTING as err:
            refused.append((row, f"what the function returned does not fit the table: {err} (SQLSTATE {err.sqlstate})"))
    return copied, refused


async def _again(data: Sequence[bytes]) -> AsyncIterator[bytes]:
    for part in data:
        yield part
