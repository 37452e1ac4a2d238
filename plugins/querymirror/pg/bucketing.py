"""SQL that cuts keys into buckets and selects those of some buckets, the same in two databases; see `buckets`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from querymirror.buckets import GREATEST, LEAST, NO_KEYS, Buckets, Span

FEW = 32  # ranges that are named one by one, each an index lookup; more are found by their numbers in one pass


class Bucketing:
    """The expressions over one side's key.

    Args:
        hashed: the key's hash.
        key: the one key column itself, as an index has it; of no meaning for buckets by hash.
    """

    def __init__(self, hashed: sql.Composable, key: sql.Composable) -> None:
        self._hashed, self._key = hashed, key

    def number(self, buckets: Buckets) -> sql.Composed:
        """Returns the bucket that a key falls into; without a key (a row that the target will refuse) the last one."""
        if buckets.count:
            return sql.SQL("({} & {})").format(self._hashed, sql.Literal(buckets.count - 1))
        return sql.SQL("(coalesce({}::bigint, {}) >> {})").format(self._key, _bigint(GREATEST), sql.Literal(buckets.shift))

    def meant(self, buckets: Sequence[Buckets]) -> sql.Composable:
        """Returns the condition on the keys of some buckets; of all keys without buckets."""
        return sql.SQL("({})").format(sql.SQL(" OR ").join(map(self._meant, buckets))) if buckets else sql.SQL("true")

    def _meant(self, buckets: Buckets) -> sql.Composable:
        if not buckets.numbers:
            return sql.SQL("true")
        if not buckets.count and len(spans := buckets.spans()) <= FEW:
            return self.inside(spans)
        return sql.SQL("{} = ANY({}::bigint[])").format(self.number(buckets), sql.Literal(list(buckets.numbers)))

    def inside(self, spans: Sequence[Span]) -> sql.Composable:
        """Returns the condition on the keys of some spans; of all keys without spans."""
        return sql.SQL("({})").format(sql.SQL(" OR ").join(map(self._inside, spans))) if spans else sql.SQL("true")

    def _inside(self, span: Span) -> sql.Composed:
        between = sql.SQL("{} BETWEEN {} AND {}").format(self._key, _bigint(span.low), _bigint(span.high))
        return sql.SQL("{} OR {} IS NULL").format(between, self._key) if span.high == GREATEST else between


def ends(column: sql.Composable, place: sql.Composable, spans: Sequence[Span]) -> sql.Composed:
    """Returns the query of the least and the greatest integer of a column in each of some spans, in their order; of all of them without spans.

    Each is an index lookup where the column has an index.
    """
    named = sql.SQL("SELECT {}, coalesce(min({c}), {}), coalesce(max({c}), {}) FROM {p} WHERE {c} BETWEEN {} AND {}")
    parts = [
        named.format(sql.Literal(n), _bigint(NO_KEYS.low), _bigint(NO_KEYS.high), _bigint(span.low), _bigint(span.high), c=column, p=place)
        for n, span in enumerate(spans or [Span(low=LEAST, high=GREATEST)])
    ]
    return sql.SQL("{} ORDER BY 1").format(sql.SQL(" UNION ALL ").join(parts))


def read_ends(conn: psycopg.Connection[Any], query: sql.Composed) -> list[Span]:
    """Returns what a query of `ends` finds."""
    return [Span(low=low, high=high) for _, low, high in conn.execute(query).fetchall()]


def _bigint(value: int) -> sql.Composed:
    return sql.SQL("{}::bigint").format(sql.Literal(str(value)))
