"""The one source: a query over a PostgreSQL, read with nothing but SELECT.

Control questions go through psycopg, each in a snapshot of its own; rows stream through asyncpg's COPY from one snapshot a batch.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import psycopg
from psycopg import sql

from querymirror.buckets import INTEGERS, Buckets, Span
from querymirror.connections import Address
from querymirror.errors import SchemaError
from querymirror.facts import Checksums, Column, Horizon, Key, Origin, Probe, QueryFacts, Shape
from querymirror.pg.bucketing import ends, read_ends
from querymirror.pg.counters import read_counters, read_definitions
from querymirror.pg.session import connect, translated
from querymirror.records import Batch, Reject, Window
from querymirror.sources import cutting, explain, queries
from querymirror.sources.catalog import Description, require_columns, table_oids
from querymirror.sources.reading import Reading
from querymirror.sources.statements import statement_of
from querymirror.sources.summing import Summing
from querymirror.sources.transactions import not_ended, open_transactions
from querymirror.spec.pipeline import PipelineSpec


class PostgresReader:
    """Reads one pipeline's query.

    Args:
        spec: the pipeline.
        address: the source.
    """

    def __init__(self, spec: PipelineSpec, address: Address) -> None:
        self._spec, self._source, self._address = spec, spec.source, address
        self._query = spec.source.query.text

    @cached_property
    def _conn(self) -> psycopg.Connection[Any]:
        return self._connect()

    def _connect(self) -> psycopg.Connection[Any]:
        return connect(self._address, read_only=True, statement_timeout=self._source.statement_timeout)

    @cached_property
    def _description(self) -> Description:
        return Description(self._conn, queries.subselect(self._query))

    @cached_property
    def _columns(self) -> tuple[Column, ...]:
        columns = self._description.columns()
        wanted = [*self._source.primary_key, *([self._source.cursor_column] if self._source.cursor_column else []), *self._spec.target.omit]
        require_columns(columns, wanted, self._spec.id)
        return columns

    def describe(self) -> tuple[Column, ...]:
        """Returns the columns of the query's result, in order."""
        with translated(self._address.conn_id):
            return self._columns

    def _column(self, name: str) -> Column:
        return next(c for c in self._columns if c.name == name)

    @property
    def _cursor(self) -> Column | None:
        return self._column(self._source.cursor_column) if self._source.cursor_column else None

    def origins(self) -> dict[str, Origin | None]:
        """Returns, for each stream, the base table's column behind its cursor."""
        with translated(self._address.conn_id):
            found: dict[str, Origin | None] = {}
            if self._source.cursor_column:
                found["main"] = self._description.origin(self._source.cursor_column)
            for name, (description, columns) in self._changes.items():
                origin = description.origin(columns[-1].name)
                names_key = origin is not None and any(description.table_oid(c.name) == origin.oid for c in columns[:-1])
                found[name] = origin.model_copy(update={"names_key": names_key}) if origin else None
            return found

    @cached_property
    def _changes(self) -> dict[str, tuple[Description, tuple[Column, ...]]]:
        found = {}
        for change in self._source.changes:
            query = queries.subselect(queries.keys_query(change.keys_sql.text, Window()).as_string(None))
            description = Description(self._conn, query)
            columns = description.columns()
            if len(columns) != len(self._source.primary_key) + 1:
                message = f"keys_sql of {change.name!r} returns {len(columns)} columns ({', '.join(c.name for c in columns)})."
                raise SchemaError(message, where=self._spec.id, fix=f"Return {', '.join(self._source.primary_key)} and then the change's cursor.")
            found[change.name] = (description, columns)
        return found

    def primary_key_origins(self) -> frozenset[int]:
        """Returns the oids of the tables that the primary key's columns come from; 0 stands for an expression."""
        with translated(self._address.conn_id):
            return frozenset(self._description.table_oid(name) for name in self._source.primary_key)

    def probe(self, origins: Mapping[str, Origin]) -> tuple[Probe, QueryFacts]:
        """Reads counters and indexed cursors; costs the same whatever the tables' size."""
        with translated(self._address.conn_id):
            facts = self._facts()
            probe = read_counters(self._conn, sorted(facts.scans))
            cursors = {name: self._highest(origin) for name, origin in origins.items() if origin.indexed}
            return probe.model_copy(update={"cursors": cursors, "epoch": f"{probe.epoch}|{read_definitions(self._conn)}"}), facts

    def _highest(self, origin: Origin) -> str | None:
        column = Column(name=origin.column, type=origin.type, source_type=origin.type)
        row = self._conn.execute(queries.highest(origin, column, "")).fetchone()
        return row[0] if row else None

    def _plan(self, query: sql.Composable) -> dict[str, Any]:
        row = self._conn.execute(sql.SQL("EXPLAIN (VERBOSE, FORMAT JSON) {}").format(query)).fetchone()
        plan: dict[str, Any] = row[0][0]["Plan"] if row else {}
        return plan

    def _facts(self) -> QueryFacts:
        plan = self._plan(sql.SQL("SELECT * FROM {}").format(queries.subselect(self._query)))
        return explain.facts(plan, table_oids(self._conn, sorted(explain.scans(plan))))

    def horizon(self) -> Horizon:
        """Reads the highest cursor of each stream, then the transactions that are open (the order is what makes it safe)."""
        with translated(self._address.conn_id):
            highs: dict[str, str | None] = {}
            origins = self.origins()
            if self._cursor is not None:
                highs["main"] = self._value(queries.highest(origins["main"], self._cursor, self._query))
            for change in self._source.changes:
                cursor = self._changes[change.name][1][-1]
                everything = queries.earliest_and_latest(cursor.source_type)
                keys = queries.keys_query(change.keys_sql.text, everything).as_string(None)
                highs[change.name] = self._value(queries.highest(origins[change.name], cursor, keys))
            now = self._value(sql.SQL("SELECT to_char(now(), 'YYYY-MM-DD\"T\"HH24:MI:SS.USOF')"))
            return Horizon(highs=highs, open=open_transactions(self._conn), at=now or "")

    def _value(self, query: sql.SQL | sql.Composed) -> str | None:
        row = self._conn.execute(query).fetchone()
        return row[0] if row else None

    def still_open(self, transactions: Sequence[str], *, wait: float = 0.0) -> tuple[str, ...]:
        """Returns those that have not ended (see `not_ended`), after waiting up to `wait` seconds for all of them to end."""
        end = time.monotonic() + wait
        with translated(self._address.conn_id):
            while left := not_ended(set(transactions), set(open_transactions(self._conn))):
                if time.monotonic() >= end:
                    break
                time.sleep(0.02)
            return left

    def below(self, stream: str, low: str, lag: float) -> str:
        """Returns the cursor value `lag` seconds below `low`.

        A change's author may have written `>` where `>=` is needed, so its bound goes one step further down.
        """
        with translated(self._address.conn_id):
            cursor = self._cursor if stream == "main" else self._changes[stream][1][-1]
            if cursor is None:
                return low
            bound = queries.typed(low, cursor.source_type)
            if queries.is_time(cursor.source_type):
                step = sql.SQL("{} - make_interval(secs => {})").format(bound, sql.Literal(lag + (0 if stream == "main" else 0.000001)))
            elif stream != "main" and cursor.source_type in {"smallint", "integer", "bigint"}:
                step = sql.SQL("{} - 1").format(queries.typed(low, "numeric"))
            else:
                return low
            return self._value(sql.SQL("SELECT ({})::text").format(step)) or low

    def everything_above(self, stream: str, window: Window) -> Window:
        """Returns the window of a change with both of its bounds set, as `keys_sql` needs them."""
        with translated(self._address.conn_id):
            every = queries.earliest_and_latest(self._changes[stream][1][-1].source_type)
            return Window(low=every.low if window.low is None else window.low, high=every.high if window.high is None else window.high)

    def cut_ranges(self, batch_size: int) -> list[Window]:
        """Cuts the whole query into ranges of the first key column, of about `batch_size` rows each."""
        with translated(self._address.conn_id):
            first = self._column(self._source.primary_key[0])
            origin = self._description.origin(first.name)
            return cutting.ranges(self._conn, first=first, origin=origin, query=self._query, rows=self._facts().rows, batch_size=batch_size)

    def cut_window(self, window: Window, batch_size: int) -> list[Window]:
        """Cuts a window of the main cursor into windows of at most `batch_size` rows (ties stay together)."""
        cursor = self._cursor
        if cursor is None:
            return [window]
        with translated(self._address.conn_id):
            inside = queries.in_window(queries.column(cursor.name), cursor.source_type, window, nulls=False)
            plan = self._plan(sql.SQL("SELECT {} FROM {} WHERE {}").format(queries.column(cursor.name), queries.subselect(self._query), inside))
            if plan.get("Plan Rows", 0) <= batch_size:
                return [window]
            return cutting.windows(self._conn, cursor=cursor, query=self._query, window=window, batch_size=batch_size)

    def count(self) -> int:
        """Counts the rows of the query."""
        with translated(self._address.conn_id):
            row = self._conn.execute(sql.SQL("SELECT count(*) FROM {}").format(queries.subselect(self._query))).fetchone()
            return int(row[0]) if row else 0

    def key_ends(self, shape: Shape, spans: Sequence[Span] = ()) -> list[Span] | None:
        """Returns the least and the greatest key in each span, of the base table's column: the query's own may lie between them."""
        with translated(self._address.conn_id):
            name, *more = shape.orphan_key
            integers = {self._column(name).source_type, self._key_column(name).source_type} <= INTEGERS
            origin = self._description.origin(name) if integers and not more and shape.format != "ndjson" else None
            if origin is None or not origin.indexed:
                return None
            return read_ends(self._conn, ends(sql.Identifier(origin.column), sql.Identifier(origin.schema_name, origin.table), spans))

    def checksums(self, shape: Shape, buckets: Buckets, *, content: bool, spans: Sequence[Span] = ()) -> Checksums:
        """Returns count and hash of each bucket of keys, over the keys alone or over all the target stores."""
        with translated(self._address.conn_id):
            selection = queries.Selection(self._columns if content or self._spec.keys_sql is None else self._keys_columns, shape)
            hashed = selection.content_hash() if content else selection.key_hash(shape.orphan_key)
            cut, rows = selection.bucketing, self._rows_or_keys(content=content)
            number, query = cut.number(buckets), sql.SQL("SELECT {}, count(*), bit_xor({}) FROM {} WHERE {} AND {} GROUP BY 1")
            summing = Summing(self._conn, self._connect, self._plan)
            return summing.read(lambda condition: query.format(number, hashed, rows, cut.inside(spans), condition), number, buckets.count)

    def _rows_or_keys(self, *, content: bool) -> sql.Composed:
        keys = self._spec.keys_sql
        return queries.subselect(keys.text if keys is not None and not content else self._query)

    def present(self, keys: Sequence[Key]) -> set[Key]:
        """Returns those of the orphan keys that the query returns now."""
        with translated(self._address.conn_id):
            columns = [self._key_column(name) for name in self._spec.orphan_key]
            names = sql.SQL(", ").join(sql.SQL("{}::text").format(queries.column(c.name)) for c in columns)
            query = sql.SQL("SELECT {} FROM {} WHERE {}")
            try:
                found = self._conn.execute(query.format(names, self._rows_or_keys(content=False), queries.in_keys(columns, keys))).fetchall()
            except psycopg.DataError:
                # Ids that somebody else wrote into an index need not be values of the key's type.
                found = self._conn.execute(query.format(names, self._rows_or_keys(content=False), queries.in_key_texts(columns, keys))).fetchall()
            return {tuple(row) for row in found}

    def _key_column(self, name: str) -> Column:
        if self._spec.keys_sql is None:
            return self._column(name)
        return next(c for c in self._keys_columns if c.name == name)

    @cached_property
    def _keys_columns(self) -> tuple[Column, ...]:
        keys = self._spec.keys_sql
        columns = self._columns if keys is None else Description(self._conn, queries.subselect(keys.text)).columns()
        require_columns(columns, self._spec.orphan_key, f"{self._spec.id} keys_sql")
        return columns

    def statement(self, batch: Batch) -> str:
        """Returns the SQL that reads a batch, for people; without the columns' casts and, for `buckets`, without the condition."""
        with translated(self._address.conn_id):
            return statement_of(self._spec, batch, self._columns, {name: columns for name, (_, columns) in self._changes.items()})

    def stream(self, batch: Batch, shape: Shape) -> AsyncIterator[bytes]:
        """Yields the rows of a batch from one snapshot, in the target's format, cut anywhere."""
        with translated(self._address.conn_id):
            return self._reading(self._columns).rows(batch, shape)

    def refused(self) -> list[Reject]:
        """Returns nothing: rows are read as they are."""
        return []

    def _reading(self, columns: Sequence[Column]) -> Reading:
        return Reading(self._spec, self._address, columns, {name: columns for name, (_, columns) in self._changes.items()})

    def stream_keys(self, shape: Shape, buckets: Sequence[Buckets]) -> AsyncIterator[bytes]:
        """Yields the orphan keys of some buckets, cut anywhere: COPY text, for `ndjson` shapes a JSON string a line; no buckets = all."""
        with translated(self._address.conn_id):
            columns = self._keys_columns if self._spec.keys_sql else self._columns
            selection = queries.Selection(columns, shape)
            names = selection.document_id_json() if shape.format == "ndjson" else sql.SQL(", ").join(selection.wire(name) for name in shape.orphan_key)
            query = sql.SQL("SELECT {} FROM {} WHERE {}").format(names, self._rows_or_keys(content=False), selection.bucketing.meant(buckets))
            return self._reading(columns).keys(query, shape)

    def clock(self) -> int:
        """Returns the source's time in microseconds, the scale of the versions that readings carry."""
        with translated(self._address.conn_id):
            return int(self._value(sql.SQL("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text")) or 0)

    def documents(self, shape: Shape) -> Iterator[tuple[str, bytes]]:
        """Yields (id, document) of the whole query from one snapshot."""
        selection = queries.Selection(self._columns, shape)
        query = sql.SQL("SELECT {}, {} FROM {}").format(selection.document_id(), selection.document(), queries.subselect(self._query))
        with translated(self._address.conn_id), self._conn.transaction(), self._conn.cursor(name="documents", binary=False) as cursor:
            cursor.itersize = 2000
            cursor.execute(query)
            for document_id, document in cursor:
                yield document_id, document.encode()

    def close(self) -> None:
        """Closes the session, where one was opened."""
        if "_conn" in self.__dict__:
            self._conn.close()
