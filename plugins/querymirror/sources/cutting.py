"""Cuts what must be read into batches: bounds are found without reading all rows wherever the catalog knows enough."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import psycopg
from psycopg import sql

from querymirror.facts import Column, Origin
from querymirror.records import Window
from querymirror.sources import queries

MAX_BATCHES = 500  # Airflow maps at most 1,024 tasks
_INTEGERS = {"smallint", "integer", "bigint"}


def ranges(conn: psycopg.Connection[Any], *, first: Column, origin: Origin | None, query: str, rows: float, batch_size: int) -> list[Window]:
    """Cuts the query into ranges of its first key column; `rows` is the planner's estimate of the result."""
    wanted = min(math.ceil(rows / batch_size), MAX_BATCHES)
    if wanted <= 1:
        return [Window()]
    bounds = _bounds(conn, first=first, origin=origin, query=query, wanted=wanted)
    return between([None, *bounds, None])


def between(bounds: list[str | None]) -> list[Window]:
    """Returns the windows between neighbouring bounds."""
    return [Window(low=low, high=high) for low, high in pairwise(bounds)]


def _bounds(conn: psycopg.Connection[Any], *, first: Column, origin: Origin | None, query: str, wanted: int) -> list[str]:
    name = sql.Identifier(origin.column) if origin else queries.column(first.name)
    place: sql.Composable = sql.Identifier(origin.schema_name, origin.table) if origin else queries.subselect(query)
    if first.source_type in _INTEGERS:
        row = conn.execute(sql.SQL("SELECT min({c}), max({c}) FROM {p}").format(c=name, p=place)).fetchone()
        low, high = row if row and row[0] is not None else (0, 0)
        return sorted({str(low + (high - low) * i // wanted) for i in range(1, wanted)}, key=int)
    if origin is not None and (histogram := _histogram(conn, origin)):
        return _unique([histogram[len(histogram) * i // wanted] for i in range(1, wanted)])
    shares = sql.Literal([i / wanted for i in range(1, wanted)])
    middle = sql.SQL("SELECT unnest(percentile_disc({s}::float8[]) WITHIN GROUP (ORDER BY {c}))::text FROM {p}").format(s=shares, c=name, p=place)
    return _unique([row[0] for row in conn.execute(middle).fetchall() if row[0] is not None])


def _unique(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _histogram(conn: psycopg.Connection[Any], origin: Origin) -> list[str]:
    query = sql.SQL("""SELECT unnest(histogram_bounds::text::{t}[])::text FROM pg_stats
                        WHERE schemaname = {s} AND tablename = {n} AND attname = {c} AND NOT inherited""")
    found = query.format(t=queries.raw(origin.type), s=sql.Literal(origin.schema_name), n=sql.Literal(origin.table), c=sql.Literal(origin.column))
    return [row[0] for row in conn.execute(found).fetchall()]


def windows(conn: psycopg.Connection[Any], *, cursor: Column, query: str, window: Window, batch_size: int) -> list[Window]:
    """Cuts a window after every `batch_size` rows; rows of one cursor value stay in one batch."""
    name = queries.column(cursor.name)
    inside = queries.in_window(name, cursor.source_type, window, nulls=False)
    numbered = sql.SQL("SELECT {c} AS c, row_number() OVER (ORDER BY {c}) AS n FROM {q} WHERE {i}").format(c=name, q=queries.subselect(query), i=inside)
    chosen = sql.SQL("SELECT DISTINCT c FROM ({}) s WHERE n % {} = 0 AND c IS NOT NULL").format(numbered, sql.Literal(batch_size))
    # As text only: Python has no value for infinity and for years before 1 and after 9999.
    texts = [row[0] for row in conn.execute(sql.SQL("SELECT c::text FROM ({}) d ORDER BY c").format(chosen)).fetchall()]
    if len(texts) >= MAX_BATCHES:
        texts = texts[:: math.ceil(len(texts) / MAX_BATCHES)]
    return between([window.low, *[t for t in texts if t != window.low], window.high])
