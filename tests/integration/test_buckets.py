"""Buckets of keys in real databases: by ranges of an integer key, whatever its values, and by hashes else."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import sql

from querymirror.buckets import GREATEST, LEAST, Buckets, Span
from querymirror.pg.bucketing import FEW, Bucketing, ends
from querymirror.sync import compare
from querymirror.sync.compare import differing_buckets
from tests.fixtures.fix_pipeline import Mirror
from tests.fixtures.fix_postgres import Databases

pytestmark = pytest.mark.integration

KEYS = st.integers(LEAST, GREATEST) | st.sampled_from([LEAST, -1, 0, GREATEST]) | st.integers(-3000, 3000)
CUT = Bucketing(sql.SQL("hashint8extended(k, 0)"), sql.SQL("k"))


@given(keys=st.lists(KEYS, min_size=1, max_size=80, unique=True), shift=st.integers(0, 63), every=st.integers(1, 3))
@example(keys=[LEAST, GREATEST], shift=63, every=1)
@example(keys=list(range(0, 200, 2)), shift=0, every=1)  # more ranges than are named one by one
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_condition_selects_the_keys_of_its_buckets(databases: Databases, keys: list[int], shift: int, every: int) -> None:
    """PostgreSQL numbers keys as Python does; each lies in one bucket, and buckets that are meant give their keys and no others."""
    given_keys = sql.SQL("(SELECT unnest({}::bigint[]) AS k) q").format(sql.Literal(keys))
    numbers = sorted({key >> shift for key in keys})[::every]
    for cut in (Buckets(shift=shift), Buckets(count=16)):
        with psycopg.connect(databases.source_dsn) as conn:
            numbered: dict[int, int] = dict(conn.execute(sql.SQL("SELECT k, {} FROM {}").format(CUT.number(cut), given_keys)).fetchall())
            wanted = numbers if not cut.count else sorted(set(numbered.values()))[::every]
            meant = conn.execute(sql.SQL("SELECT k FROM {} WHERE {}").format(given_keys, CUT.meant([cut.meaning(wanted)]))).fetchall()
        assert cut.count or all(numbered[key] == key >> shift for key in keys)
        assert sorted(k for (k,) in meant) == sorted(key for key in keys if numbered[key] in wanted)


def test_a_missing_key_has_a_bucket(databases: Databases) -> None:
    """A row without a key, which the target will refuse, is read with the last bucket and is never passed over in silence."""
    rows = sql.SQL("(VALUES (NULL::int), (5), (2147483647)) q(k)")
    with psycopg.connect(databases.source_dsn) as conn:
        for shift in (0, 22, 63):
            cut = Buckets(shift=shift)
            number = conn.execute(sql.SQL("SELECT {} FROM {} WHERE k IS NULL").format(CUT.number(cut), rows)).fetchall()[0][0]
            found = conn.execute(sql.SQL("SELECT k FROM {} WHERE {}").format(rows, CUT.meant([cut.meaning([number])]))).fetchall()
            assert (None,) in found


def test_ends_come_from_an_index(databases: Databases) -> None:
    """The least and the greatest key of a span are found without reading the table; a span without keys has none."""
    with psycopg.connect(databases.source_dsn) as conn:
        conn.execute("CREATE TABLE film (id int PRIMARY KEY); INSERT INTO film SELECT generate_series(-20000, 20000); ANALYZE film")
        query = ends(sql.Identifier("id"), sql.Identifier("film"), [Span(), Span(low=5, high=7), Span(low=30_000, high=GREATEST)])
        assert [row[1:] for row in conn.execute(query).fetchall()] == [(-20000, 20000), (5, 7), (GREATEST, LEAST)]
        plan = "\n".join(row[0] for row in conn.execute(sql.SQL("EXPLAIN {}").format(query)).fetchall())
        assert "Seq Scan" not in plan


# Keys, made from n = 1 .. 3000: negative ones, both ends of a bigint, most of them in one place, a few far away.
NUMBERS = {
    "negative": "n - 1500",
    "extreme": "CASE WHEN n % 2 = 0 THEN 9223372036854775807 - n ELSE -9223372036854775808 + n END",
    "skewed": "CASE WHEN n <= 2990 THEN n ELSE 4611686018427387904 + n END",
    "sparse": "n * 3074457345618258",
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_any_integers(mirror: Callable[..., Mirror], kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleted rows, rows that changed unseen and rows outside the source's keys are found; a range that holds many rows is cut again."""
    monkeypatch.setattr(compare, "FULL", 20)
    source = f"CREATE TABLE film (id bigint PRIMARY KEY, v text); INSERT INTO film SELECT {NUMBERS[kind]}, 'v' FROM generate_series(1, 3000) n"
    films = mirror(source, "SELECT * FROM film")
    films.cycle()
    films.change(f"DELETE FROM film WHERE id IN (SELECT {NUMBERS[kind]} FROM generate_series(1, 3000, 500) n)")
    assert films.cycle().deleted == 6
    films.assert_equal()
    films.change(f"UPDATE film SET v = 'other' WHERE id IN (SELECT {NUMBERS[kind]} FROM generate_series(7, 3000, 500) n)")
    films.tamper("INSERT INTO analytics.mirrored VALUES (-9223372036854775808, 'stray'), (9223372036854775807, 'stray'), (3000000000000, 'stray')")
    summary = films.cycle()
    assert (summary.upserted, summary.deleted) == (6, 3)
    assert summary.read < 1000, "only ranges that differ are read"
    films.assert_equal()
    assert films.cycle().outcome == "quiet"


def test_a_range_that_holds_most_rows_is_cut_again(mirror: Callable[..., Mirror], monkeypatch: pytest.MonkeyPatch) -> None:
    """One key far away does not make a difference cost the whole table: the full range is cut between its own ends."""
    monkeypatch.setattr(compare, "FULL", 20)
    source = f"CREATE TABLE film (id bigint PRIMARY KEY, v text); INSERT INTO film SELECT {NUMBERS['skewed']}, 'v' FROM generate_series(1, 3000) n"
    films = mirror(source, "SELECT * FROM film")
    films.cycle()
    films.change("DELETE FROM film WHERE id = 77")
    with films.open() as cycle:
        shape = cycle.target.shape(cycle.source.describe())
        assert differing_buckets(cycle.source, cycle.target, shape, content=False) == (Buckets(shift=0, numbers=(77,)),)


def test_many_ranges_are_read_in_one_pass(mirror: Callable[..., Mirror]) -> None:
    """More differing ranges than are named one by one are found by their numbers."""
    films = mirror("CREATE TABLE film (id int PRIMARY KEY); INSERT INTO film SELECT generate_series(1, 9000)", "SELECT * FROM film")
    films.cycle()
    films.change("DELETE FROM film WHERE id % 90 = 0")
    assert films.cycle().deleted == 100 > FEW
    films.assert_equal()


@pytest.mark.parametrize(
    ("query", "by_ranges"),
    [
        pytest.param("SELECT id, v FROM film", True, id="a column with an index"),
        pytest.param("SELECT f.id, count(*) AS n FROM film f JOIN film g ON g.v = f.v GROUP BY f.id", True, id="joined and grouped"),
        pytest.param("SELECT id + 1 AS id, v FROM film", False, id="an expression"),
        pytest.param("SELECT n AS id, v FROM film", False, id="a column without an index"),
        pytest.param("SELECT id, v FROM film UNION ALL SELECT -id, v FROM film", False, id="a set operation"),
    ],
)
def test_ranges_where_an_index_finds_them(mirror: Callable[..., Mirror], query: str, by_ranges: bool) -> None:
    """Ranges are for keys that an index has on both sides; all others are cut by hash, and both find what differs."""
    films = mirror("CREATE TABLE film (id int PRIMARY KEY, n int, v int); INSERT INTO film SELECT n, n, n % 50 FROM generate_series(1, 500) n", query)
    films.cycle()
    films.change("DELETE FROM film WHERE id % 100 = 0; UPDATE film SET v = v + 1 WHERE id = 7")
    with films.open() as cycle:
        shape = cycle.target.shape(cycle.source.describe())
        found = differing_buckets(cycle.source, cycle.target, shape, content=True)
        assert {b.count == 0 for b in found} == {by_ranges}
    films.cycle()
    films.assert_equal()


def test_a_widened_key(mirror: Callable[..., Mirror]) -> None:
    """A table whose key is wider than the query's is compared by the same ranges."""
    films = mirror(
        "CREATE TABLE film (id smallint PRIMARY KEY, v text); INSERT INTO film SELECT n, 'v' FROM generate_series(-100, 100) n",
        "SELECT * FROM film",
        create_sql={"text": "CREATE TABLE analytics.mirrored (id bigint PRIMARY KEY, v text)"},
    )
    films.cycle()
    films.change("DELETE FROM film WHERE id IN (-100, 0, 99); UPDATE film SET v = 'x' WHERE id = 100")
    films.tamper("INSERT INTO analytics.mirrored VALUES (70000, 'stray')")
    summary = films.cycle()
    assert (summary.upserted, summary.deleted) == (1, 4)
    films.assert_equal()
