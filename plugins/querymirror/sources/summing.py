"""Reads checksums of buckets, by two sessions where PostgreSQL alone would make all rows in one process.

Its parallel workers run no plan node that refers to a correlated sub-select (PostgreSQL's manual, "Parallel Safety"), so a query that makes documents out
of normalised tables by LATERAL joins or sub-selects keeps one core busy, however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any

import psycopg
from psycopg import sql

from querymirror.facts import Checksums

WORTH = 250_000.0  # in the planner's units, some tenths of a second; for less a second login gains nothing
HALVED = 0.5  # the planner takes a half for a third of the rows; where it costs more than this, all rows are made to leave some out

Ask = Callable[[sql.Composable], sql.Composed]
"""Returns the query of (bucket, rows, hash) over the rows that fit a condition."""


class Summing:
    """Reads the checksums of one side.

    Args:
        conn: the session there is.
        another: opens a second one like it.
        plan: returns the top node of a query's plan.
    """

    def __init__(
        self, conn: psycopg.Connection[Any], another: Callable[[], psycopg.Connection[Any]], plan: Callable[[sql.Composed], Mapping[str, Any]]
    ) -> None:
        self._conn, self._another, self._plan = conn, another, plan

    def read(self, ask: Ask, number: sql.Composable, count: int) -> Checksums:
        """Returns what a query finds; the sessions may see different moments, but each bucket is of one.

        Args:
            ask: makes the query.
            number: the bucket that a row falls into.
            count: how many buckets by hash there are, 0 for ranges, which an index cuts.
        """
        everything = ask(sql.SQL("true"))
        if count:
            lower = sql.SQL("{} < {}").format(number, sql.Literal(count // 2))
            halves = ask(lower), ask(sql.SQL("({}) IS NOT TRUE").format(lower))  # a row without a key is in the second
            if self._worth_it(everything, halves[0]):
                return self._by_two(*halves)
        return _read(self._conn, everything)

    def _worth_it(self, everything: sql.Composed, half: sql.Composed) -> bool:
        whole = self._plan(everything)
        if whole.get("Partial Mode") == "Finalize":
            return False  # PostgreSQL's own workers sum already
        return bool(whole["Total Cost"] >= WORTH and self._plan(half)["Total Cost"] <= HALVED * whole["Total Cost"])

    def _by_two(self, mine: sql.Composed, others: sql.Composed) -> Checksums:
        with closing(self._another()) as other, ThreadPoolExecutor(max_workers=1) as pool:
            there = pool.submit(_read, other, others)
            try:
                found = _read(self._conn, mine)
            except BaseException:
                with suppress(psycopg.Error):  # what happened first is what is told
                    other.cancel_safe(timeout=5)
                raise
            return found | there.result()


def _read(conn: psycopg.Connection[Any], query: sql.Composed) -> Checksums:
    return {bucket: (rows, hashed) for bucket, rows, hashed in conn.execute(query).fetchall()}
