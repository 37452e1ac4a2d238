"""Documents made of several tables follow each of them, with `changes` and without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.fixtures.fix_pipeline import Mirror, TargetKind, session

pytestmark = pytest.mark.integration

TABLES = """
CREATE TABLE film (id int PRIMARY KEY, title text, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE person (id int PRIMARY KEY, name text, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE film_person (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, film_id int NOT NULL, person_id int NOT NULL,
                          updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX ON film (updated_at); CREATE INDEX ON person (updated_at); CREATE INDEX ON film_person (updated_at);
CREATE INDEX ON film_person (film_id); CREATE INDEX ON film_person (person_id);
INSERT INTO film SELECT n, 'film ' || n, '2024-01-01' FROM generate_series(1, 300) n;
INSERT INTO person SELECT n, 'person ' || n, '2024-01-01' FROM generate_series(1, 60) n;
INSERT INTO film_person (film_id, person_id, updated_at)
  SELECT f, 1 + (f * 7 + p * 13) % 60, '2024-01-01' FROM generate_series(1, 300) f, generate_series(1, 3) p;
ANALYZE;
"""
QUERY = """
SELECT f.id, f.title, f.updated_at, coalesce(a.actors, '[]') AS actors FROM film f
  LEFT JOIN LATERAL (SELECT jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name) ORDER BY p.id, l.id) AS actors
                       FROM film_person l JOIN person p ON p.id = l.person_id WHERE l.film_id = f.id) a ON true
"""
PERSON = """SELECT l.film_id, p.updated_at FROM person p JOIN film_person l ON l.person_id = p.id
             WHERE p.updated_at >= %(low)s AND p.updated_at <= %(high)s"""
LINK = "SELECT film_id, updated_at FROM film_person WHERE updated_at >= %(low)s AND updated_at <= %(high)s"
SPECS: dict[str, dict[str, Any]] = {
    "changes": {"cursor_column": "updated_at", "changes": {"person": PERSON, "link": LINK}},
    "cursor only": {"cursor_column": "updated_at"},
    "no cursor": {},
}


@pytest.fixture(params=SPECS)
def films(mirror: Callable[..., Mirror], target_kind: TargetKind, request: pytest.FixtureRequest) -> Mirror:
    """300 films with their actors, loaded; once with `changes`, once with a cursor alone, once without."""
    pipeline = mirror(TABLES, QUERY, target=target_kind, **SPECS[request.param])
    pipeline.cycle()
    pipeline.assert_equal()
    return pipeline


def test_every_table_is_followed(films: Mirror) -> None:
    """Each kind of change of each table is in the target after the very next cycle."""
    for change in (
        "UPDATE person SET name = 'renamed', updated_at = clock_timestamp() WHERE id = 5",
        "DELETE FROM film_person WHERE film_id = 10",  # no cursor moves at all
        "INSERT INTO film_person (film_id, person_id) VALUES (11, 12)",
        "UPDATE film_person SET film_id = 20, updated_at = clock_timestamp() WHERE film_id = 19",  # film 19 loses its actors, only film 20 is named
        "DELETE FROM person WHERE id = 7",
        "UPDATE film SET title = 'renamed', updated_at = clock_timestamp() WHERE id = 30; DELETE FROM film WHERE id = 31",
        "UPDATE film_person SET person_id = 8, updated_at = clock_timestamp() WHERE person_id = 9",
        "TRUNCATE film_person",
    ):
        films.change(change)
        films.cycle()
        films.assert_equal()
    assert films.cycle().outcome == "quiet"


def test_change_without_a_cursor_move(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """A joined table that no `changes` names is followed as well, cursor or not: what the windows can't explain is compared."""
    films = mirror(TABLES, QUERY, target=target_kind, cursor_column="updated_at", changes={"person": PERSON})
    films.cycle()
    films.change("UPDATE film_person SET person_id = 1 WHERE film_id = 4")
    films.cycle()
    films.assert_equal()


def test_explained_changes_are_not_compared(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """A rename that `changes` names reads its films and no others."""
    films = mirror(TABLES, QUERY, target=target_kind, lag=0, **SPECS["changes"])
    films.cycle()
    touched = films.databases.in_source("SELECT count(DISTINCT film_id) FROM film_person WHERE person_id = 5")[0][0]
    compared = films.state.compared_at if films.state else ""
    films.change("UPDATE person SET name = 'renamed', updated_at = clock_timestamp() WHERE id = 5")
    assert films.cycle().upserted == touched
    assert films.state is not None
    assert films.state.compared_at == compared
    films.assert_equal()


def test_late_commit_of_a_change(mirror: Callable[..., Mirror]) -> None:
    """A rename that commits late, after later renames were mirrored, arrives."""
    films = mirror(TABLES, QUERY, lag=0, **SPECS["changes"])
    films.cycle()
    with session(films.databases.source_dsn) as late:
        late.execute("UPDATE person SET name = 'late', updated_at = clock_timestamp() WHERE id = 5")
        films.change("UPDATE person SET name = 'in time', updated_at = clock_timestamp() WHERE id = 6")
        films.cycle()
        films.change("UPDATE film SET title = 'in time', updated_at = clock_timestamp() WHERE id = 6")
        films.cycle()
        films.assert_equal()
        late.commit()
    films.cycle()
    films.assert_equal()


def test_rename_that_touches_50000_documents(mirror: Callable[..., Mirror]) -> None:
    """One row that stands in 50,000 documents: all of them follow in one cycle."""
    many = """INSERT INTO film SELECT n, 'film ' || n, '2024-01-01' FROM generate_series(1001, 51000) n;
              INSERT INTO film_person (film_id, person_id, updated_at) SELECT n, 1, '2024-01-01' FROM generate_series(1001, 51000) n; ANALYZE"""
    films = mirror(TABLES + many, QUERY, **SPECS["changes"])
    films.cycle()
    films.change("UPDATE person SET name = 'renamed', updated_at = clock_timestamp() WHERE id = 1")
    assert films.cycle().upserted >= 50_000
    films.assert_equal()


def test_only_streams_that_moved_are_read(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """A renamed person reads the films of the latest persons, and not again all those that a bulk load gave the highest cursor."""
    spread = "UPDATE person SET updated_at = timestamptz '2024-01-01' + id * interval '1 hour'"
    films = mirror(TABLES + spread, QUERY, target=target_kind, **SPECS["changes"])
    films.cycle()
    films.change("UPDATE person SET name = 'renamed', updated_at = '2024-02-01' WHERE id = 5")
    done = films.cycle()
    named = [films.databases.in_source(f"SELECT count(DISTINCT film_id) FROM film_person WHERE person_id IN ({who})")[0][0] for who in ("5, 60", "5")]
    assert (done.read, done.upserted, done.compared) == (*named, False)
    films.change("UPDATE film SET title = 'one' WHERE id = 1; UPDATE film SET title = 'two', updated_at = '2024-01-01 00:00:10' WHERE id = 2")
    assert films.cycle().upserted == 2
    films.assert_equal()


OPEN_ONLY = "SELECT f.id, f.title, f.updated_at, p.name FROM film f JOIN person p ON p.id = f.id WHERE p.name <> 'closed'"
OPENED = "SELECT id, updated_at FROM person WHERE name <> 'closed' AND updated_at >= %(low)s AND updated_at <= %(high)s"


def test_change_that_only_fills_columns_asks_for_no_keys(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """A renamed person can't make a film leave, which the plan proves: a film deleted behind the counters' back would be looked for otherwise."""
    films = mirror(TABLES, QUERY, target=target_kind, lag=0, **SPECS["changes"])
    films.cycle()
    films.change("UPDATE person SET name = 'renamed', updated_at = clock_timestamp() WHERE id = 5")
    with films.open() as cycle:
        assert cycle.detect(films.state, films.request()).check_orphans is False
    films.cycle()
    films.assert_equal()
    films.change("INSERT INTO film_person (film_id, person_id) VALUES (11, 12)")
    films.cycle()
    films.assert_equal()
    films.change("DELETE FROM film WHERE id = 12")
    assert films.cycle().deleted == 1
    films.assert_equal()


@pytest.mark.parametrize("delete_missing", ["hard", "soft"])
def test_change_that_decides_which_rows_there_are(mirror: Callable[..., Mirror], target_kind: TargetKind, delete_missing: str) -> None:
    """A joined row that leaves the query's condition takes its rows along, though `keys_sql` names only those that stay; and brings them back."""
    changes = {"cursor_column": "updated_at", "changes": {"person": OPENED}, "delete_missing": delete_missing, "max_delete_share": 1.0}
    films = mirror(TABLES, OPEN_ONLY, target=target_kind, lag=0, **changes)
    films.cycle()
    films.change("UPDATE person SET name = 'closed', updated_at = clock_timestamp() WHERE id IN (5, 6)")
    assert films.cycle().deleted == 2
    films.assert_equal()
    films.change("UPDATE person SET name = 'open', updated_at = clock_timestamp() WHERE id = 5")
    films.cycle()
    films.assert_equal()


def test_where_nearly_all_differs_the_index_is_not_asked_first(mirror: Callable[..., Mirror]) -> None:
    """A body of documents that nearly all changed is written as it is; one that nearly all stayed is compared, and the same ones are not written again."""
    many = "INSERT INTO film SELECT n, 'film ' || n, '2024-01-01' FROM generate_series(1001, 4000) n; ANALYZE"
    films = mirror(TABLES + many, QUERY, target="elasticsearch", lag=0, omit=["updated_at"], **SPECS["changes"])
    films.cycle()
    films.change("UPDATE film SET updated_at = '2025-01-01', title = CASE WHEN id = 1777 THEN title ELSE 'new ' || id END")
    done = films.cycle()
    assert (done.upserted, done.unchanged) == (3300, 0)
    films.assert_equal()
    films.change("UPDATE film SET updated_at = '2026-01-01', title = CASE WHEN id % 400 = 0 THEN 'once more ' || id ELSE title END")
    done = films.cycle()
    assert (done.upserted, done.unchanged) == (8, 3292)
    films.assert_equal()
    films.change("UPDATE film SET updated_at = '2026-02-01'")
    assert films.cycle().upserted == 0
