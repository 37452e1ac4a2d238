"""Checksums by two sessions: where they are worth it, and that they say what one session says."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from psycopg import errors as pg_errors
from psycopg import sql

from querymirror.sources import summing
from querymirror.sources.summing import Summing
from tests.fixtures.fix_pipeline import Mirror, TargetKind
from tests.fixtures.fix_postgres import Databases

pytestmark = pytest.mark.integration

COUNT = 16
# A function of a declared cost stands for the work that a hundred thousand films are.
FILMS = """
CREATE TABLE film (id int, title text, c bigint);
CREATE TABLE part (film int, person text);
INSERT INTO film SELECT n, 'film ' || n, n FROM generate_series(1, 2000) n;
INSERT INTO part SELECT n, 'person ' || n % 7 FROM generate_series(1, 2000) n;
CREATE INDEX ON part (film);
ALTER TABLE film SET (parallel_workers = 2);
CREATE FUNCTION dear(people jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 400000 AS 'BEGIN RETURN people; END';
ANALYZE film, part
"""
LATERAL = "SELECT f.id, f.title, f.c, {} AS people FROM film f CROSS JOIN LATERAL (SELECT jsonb_agg(person) AS people FROM part WHERE film = f.id) p"
CHEAP, DEAR = LATERAL.format("p.people"), LATERAL.format("dear(p.people)")
PLAIN = "SELECT id, dear(to_jsonb(title)) AS title FROM film"
RANKED = f"SELECT id, people, rank() OVER (ORDER BY people) AS rank FROM ({DEAR}) d"


@dataclass
class Sides:
    """One source, and the second sessions that were opened to it.

    Args:
        dsn: of the source.
    """

    dsn: str
    opened: list[psycopg.Connection[Any]] = field(default_factory=list)

    def another(self) -> psycopg.Connection[Any]:
        """Opens a second session."""
        self.opened.append(psycopg.connect(self.dsn, autocommit=True))
        return self.opened[-1]

    def read(self, query: str) -> dict[int, tuple[int, int]]:
        """Returns the checksums of a query by its id."""
        number = sql.SQL("(hashint4extended(q.id, 0) & {})").format(sql.Literal(COUNT - 1))

        def ask(condition: sql.Composable) -> sql.Composed:
            text = sql.SQL("SELECT {}, count(*), bit_xor(hashtextextended(q::text, 0)) FROM ({}) q WHERE {} GROUP BY 1")
            return text.format(number, sql.SQL(query), condition)

        with psycopg.connect(self.dsn, autocommit=True) as conn:

            def plan(question: sql.Composed) -> dict[str, Any]:
                row = conn.execute(sql.SQL("EXPLAIN (FORMAT JSON) {}").format(question)).fetchone()
                return dict(row[0][0]["Plan"]) if row else {}

            return Summing(conn, self.another, plan).read(ask, number, COUNT)

    def halves(self, mine: str, others: str) -> dict[int, tuple[int, int]]:
        """Runs two statements as the halves of a question that is worth it."""
        statements = iter([sql.SQL("SELECT"), sql.SQL(mine), sql.SQL(others)])
        plans = iter([{"Total Cost": summing.WORTH}, {"Total Cost": 0.0}])
        with psycopg.connect(self.dsn, autocommit=True) as conn:
            return Summing(conn, self.another, lambda _: next(plans)).read(lambda _: sql.Composed([next(statements)]), sql.SQL("0"), COUNT)


@pytest.fixture
def sides(databases: Databases) -> Sides:
    """Films with their people, one of them without a key."""
    databases.in_source(FILMS)
    databases.in_source("INSERT INTO film VALUES (NULL, 'nameless', 0)")
    return Sides(databases.source_dsn)


def test_two_sessions_say_what_one_says(sides: Sides) -> None:
    """Documents made by LATERAL joins are asked for by halves, the row without a key too; the second session is closed."""
    alone = sides.read(CHEAP)
    assert sides.opened == []  # so little is not worth it
    assert sides.read(DEAR) == alone
    assert [conn.closed for conn in sides.opened] == [True]
    assert sum(rows for rows, _ in alone.values()) == 2001
    assert len(alone) == COUNT + 1


def test_one_session_where_two_save_nothing(sides: Sides) -> None:
    """A half that costs as much as the whole, for its rows depend on all others, is not asked for."""
    assert sum(rows for rows, _ in sides.read(RANKED).values()) == 2001
    assert sides.opened == []


def test_one_session_where_postgres_has_workers(sides: Sides) -> None:
    """The rows of a plain table, however dear, are made and summed by PostgreSQL's own parallel workers."""
    assert sum(rows for rows, _ in sides.read(PLAIN).values()) == 2001
    assert sides.opened == []


def test_a_half_that_fails_stops_the_other(sides: Sides) -> None:
    """The error of one half is raised at once; the other's statement is cancelled, not waited for."""
    begun = time.monotonic()
    with pytest.raises(pg_errors.DivisionByZero):
        sides.halves("SELECT 1/0", "SELECT 0, 0, pg_sleep(600)")
    assert time.monotonic() - begun < 60
    with psycopg.connect(sides.dsn) as conn:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND state = 'active' AND pid <> pg_backend_pid()"
        assert conn.execute(asked).fetchone() == (0,)


def test_the_other_halfs_error_is_raised(sides: Sides) -> None:
    """What fails in the second session fails the whole."""
    with pytest.raises(pg_errors.DivisionByZero):
        sides.halves("SELECT 0, 0, 0", "SELECT 1/0, 0, 0")
    assert sides.opened[0].closed


def test_a_comparison_by_two_sessions_finds_what_differs(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """A link that goes, a link that comes with no cursor and a film that goes are found by a whole cycle."""
    films = mirror(FILMS, DEAR, target=target_kind, cursor_column="c")
    films.cycle()
    films.assert_equal()
    films.change("DELETE FROM part WHERE film IN (3, 700); INSERT INTO part VALUES (9, 'late'); DELETE FROM film WHERE id = 5")
    summary = films.cycle()
    assert (summary.upserted, summary.deleted) == (3, 1)
    films.assert_equal()
