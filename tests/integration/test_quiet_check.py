"""The quiet check sees what moved, and what it can't see a full comparison finds; statistics as they are, not as one would wish."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.fixtures.fix_pipeline import Mirror

pytestmark = pytest.mark.integration

FILM = "CREATE TABLE film (id int PRIMARY KEY, v text, c timestamptz DEFAULT clock_timestamp()); INSERT INTO film SELECT n, 'v' FROM generate_series(1, 50) n;"
PARTED = """
CREATE TABLE film (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE film_a PARTITION OF film FOR VALUES FROM (0) TO (100); CREATE TABLE film_b PARTITION OF film FOR VALUES FROM (100) TO (200);
CREATE TABLE film_c (id int PRIMARY KEY, v text); INSERT INTO film_c SELECT n, 'c' FROM generate_series(200, 220) n;
INSERT INTO film SELECT n, 'v' FROM generate_series(1, 150) n;
"""
PLAIN = "SELECT id, v FROM film"

# what is there; the query; changes, each of which the next cycle must carry
CASES: dict[str, tuple[str, str, Sequence[str]]] = {
    "truncate": (FILM, PLAIN, ["TRUNCATE film", "INSERT INTO film VALUES (1, 'again')"]),
    "truncate and fill to the same count": (FILM, PLAIN, ["BEGIN; TRUNCATE film; INSERT INTO film SELECT n, 'other' FROM generate_series(1, 50) n; COMMIT"]),
    "rewrite that changes values": (FILM, "SELECT id, c::text AS c FROM film", ["ALTER TABLE film ALTER COLUMN c TYPE timestamptz USING c + interval '1 h'"]),
    "dropped and made again": (FILM, PLAIN, ["DROP TABLE film; CREATE TABLE film (id int PRIMARY KEY, v text); INSERT INTO film VALUES (1, 'x')"]),
    "swapped by name": (
        FILM + "CREATE TABLE other (id int PRIMARY KEY, v text); INSERT INTO other VALUES (1, 'other')",
        PLAIN,
        ["BEGIN; ALTER TABLE film RENAME TO old; ALTER TABLE other RENAME TO film; COMMIT"],
    ),
    "partitions": (
        PARTED,
        PLAIN,
        [
            "INSERT INTO film VALUES (151, 'new')",
            "UPDATE film SET id = 152 WHERE id = 50",  # moves to the other partition
            "ALTER TABLE film ATTACH PARTITION film_c FOR VALUES FROM (200) TO (300)",
            "UPDATE film SET v = 'x' WHERE id = 210",
            "ALTER TABLE film DETACH PARTITION film_a",
            "DROP TABLE film_b",
        ],
    ),
    "materialized view": (
        FILM + "CREATE MATERIALIZED VIEW seen AS SELECT id, v FROM film; CREATE UNIQUE INDEX ON seen (id)",
        "SELECT id, v FROM seen",
        ["UPDATE film SET v = 'x' WHERE id = 1; REFRESH MATERIALIZED VIEW seen", "DELETE FROM film WHERE id = 2; REFRESH MATERIALIZED VIEW CONCURRENTLY seen"],
    ),
    "view over view": (
        FILM + "CREATE VIEW one AS SELECT * FROM film WHERE id < 40; CREATE VIEW two AS SELECT * FROM one WHERE id > 10",
        "SELECT id, v FROM two",
        ["UPDATE film SET v = 'x' WHERE id = 20; DELETE FROM film WHERE id = 21", "CREATE OR REPLACE VIEW one AS SELECT * FROM film WHERE id < 30"],
    ),
    "view with a cursor": (
        FILM + "CREATE VIEW two AS SELECT * FROM film WHERE v <> 'gone'",
        "SELECT id, v, c FROM two",
        ["UPDATE film SET v = 'gone', c = clock_timestamp() WHERE id = 20", "UPDATE film SET v = 'back', c = clock_timestamp() WHERE id = 20"],
    ),
    "statistics reset after a write": (FILM, PLAIN, ["UPDATE film SET v = 'x' WHERE id = 1; SELECT pg_stat_reset()"]),
    "statistics of one table reset": (FILM, PLAIN, ["UPDATE film SET v = 'x' WHERE id = 1; SELECT pg_stat_reset_single_table_counters('film'::regclass)"]),
    "a column's default is dropped from all rows": (FILM, "SELECT * FROM film", ["ALTER TABLE film ADD COLUMN extra int DEFAULT 7"]),
}


@pytest.mark.parametrize("case", CASES)
def test_next_cycle_carries_it(mirror: Callable[..., Mirror], case: str) -> None:
    """What moved is seen at once, and after it the pipeline is quiet again."""
    source, query, changes = CASES[case]
    films = mirror(source, query, **({"cursor_column": "c"} if "with a cursor" in case else {}))
    films.cycle()
    films.assert_equal()
    assert films.cycle().outcome == "quiet"
    for change in changes:
        films.change(change)
        assert films.cycle().outcome == "changed", change
        films.assert_equal()
    assert films.cycle().outcome == "quiet"


def test_row_level_security_hides_rows(mirror: Callable[..., Mirror]) -> None:
    """Rows that a new policy hides from the reading role leave the target."""
    films = mirror(FILM, PLAIN)
    films.cycle()
    for shown in (9, 19):
        films.change(f"ALTER TABLE film ENABLE ROW LEVEL SECURITY; DROP POLICY IF EXISTS shown ON film; CREATE POLICY shown ON film USING (id <= {shown})")
        films.cycle()
        assert len(films.rows_target()) == shown


@pytest.mark.parametrize(
    "harmless",
    [
        "BEGIN; UPDATE film SET v = 'x'; ROLLBACK",
        "UPDATE film SET v = 'x' WHERE false",
        "VACUUM film",
        "ANALYZE film",
        "VACUUM FULL film",
        "SELECT count(*) FROM film",
    ],
)
def test_harmless_things_write_nothing(mirror: Callable[..., Mirror], harmless: str) -> None:
    """Rollbacks and maintenance write no row, whether they cause a look or not."""
    films = mirror(FILM, PLAIN)
    films.cycle()
    films.change(harmless)
    summary = films.cycle()
    assert (summary.upserted, summary.deleted) == (0, 0)
    films.assert_equal()
    assert films.cycle().outcome == "quiet"


@pytest.mark.parametrize("cursor", [True, False], ids=["indexed cursor", "no cursor"])
def test_movement_counted_late(mirror: Callable[..., Mirror], cursor: bool) -> None:
    """A commit that its idle session has not counted yet is seen by its cursor at once; without one, as soon as it is counted."""
    films = mirror(FILM + "CREATE INDEX ON film (c)", "SELECT id, v, c FROM film", **({"cursor_column": "c"} if cursor else {}))
    films.cycle()
    with psycopg.connect(films.databases.source_dsn, autocommit=True) as busy:
        busy.execute("UPDATE film SET v = 'uses up the flush of this second' WHERE id = 1")
        busy.execute("SELECT pg_stat_force_next_flush()")
        films.cycle()
        busy.execute("BEGIN; UPDATE film SET v = 'uncounted', c = clock_timestamp() WHERE id = 2; COMMIT; BEGIN; SELECT 1")
        summary = films.cycle()
        if cursor:
            assert any(reason.startswith("cursor of main moved") for reason in summary.reasons)
            films.assert_equal()
        busy.execute("COMMIT")
        busy.execute("SELECT pg_stat_force_next_flush()")
    films.cycle()
    films.assert_equal()


def test_full_comparison_is_due(mirror: Callable[..., Mirror]) -> None:
    """What no counter shows is found by the comparison that runs at least every `reconcile_every`."""
    films = mirror(FILM, PLAIN, reconcile_every=600)
    films.cycle()
    films.change("SET track_counts = off; UPDATE film SET v = 'unseen' WHERE id = 1; DELETE FROM film WHERE id = 2")
    assert films.cycle().outcome == "quiet"
    _let_pass(films, timedelta(seconds=440))
    assert films.cycle().outcome == "quiet"
    _let_pass(films, timedelta(seconds=601))
    summary = films.cycle()
    assert summary.reasons[0].startswith("no full comparison for 60")
    assert (summary.upserted, summary.deleted) == (1, 1)
    films.assert_equal()
    assert films.cycle().outcome == "quiet"


def _let_pass(films: Mirror, time: timedelta) -> None:
    """Lets the last comparison lie some time back, as if the clock had gone on."""
    assert films.state is not None
    films.store.write(films.spec.id, films.state.model_copy(update={"compared_at": (datetime.now(UTC) - time).isoformat()}))


def test_foreign_table(mirror: Callable[..., Mirror]) -> None:
    """A foreign table has no counters here: each cycle looks, and carries what moved there."""
    films = mirror(FILM, "SELECT id, v, c FROM far", cursor_column="c")
    server = films.databases.server
    films.change(
        f"""CREATE EXTENSION postgres_fdw;
            CREATE SERVER near FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{server.port}', dbname '{films.source.schema}');
            CREATE USER MAPPING FOR PUBLIC SERVER near OPTIONS (user 'reader', password 'reader');
            CREATE FOREIGN TABLE far (id int, v text, c timestamptz) SERVER near OPTIONS (table_name 'film')"""
    )
    films.cycle()
    films.assert_equal()
    films.change("UPDATE film SET v = 'x', c = clock_timestamp() WHERE id = 1; DELETE FROM film WHERE id = 2; INSERT INTO film VALUES (99, 'new')")
    summary = films.cycle()
    assert "a foreign table has no counters" in summary.reasons[0]
    films.assert_equal()


def test_constant_query(mirror: Callable[..., Mirror]) -> None:
    """A query of no table at all is looked at each time."""
    films = mirror("", "SELECT n AS id, 'v' AS v FROM generate_series(1, 10) n")
    films.cycle()
    films.assert_equal()
    assert films.cycle().outcome == "changed"


@pytest.mark.parametrize("columns", ["id, v, c", "id, c"], ids=["all columns", "fewer columns"])
def test_key_update(mirror: Callable[..., Mirror], columns: str) -> None:
    """A changed primary key, alone or beside new rows, leaves no orphan; updates that keep their keys cause no key check."""
    films = mirror(FILM + "CREATE INDEX ON film (c)", f"SELECT {columns} FROM film", cursor_column="c")
    films.cycle()
    films.change("UPDATE film SET id = 1000, c = clock_timestamp() WHERE id = 1; INSERT INTO film VALUES (2000, 'new')")
    assert films.cycle().deleted == 1
    films.assert_equal()
