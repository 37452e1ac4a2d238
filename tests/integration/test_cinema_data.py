"""The online cinema in a real PostgreSQL: what is loaded, what is generated, and that the shipped queries read it well."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from devstack import cinema
from devstack.demo_changes import change_source, read_changes
from devstack.postgres import PostgresServer, program

ROOT = Path(__file__).resolve().parents[2]
SQL = ROOT / "include" / "sql"
LOADED = {
    "content.film_work": 1000,
    "content.person": 200,
    "content.genre": 16,
    "content.person_film_work": 8452,
    "content.genre_film_work": 1000,
    "ugc.rentals": 16044,
    "ugc.ratings": 15828,
}


def new_database(server: PostgresServer) -> Iterator[str]:
    """Yields the conninfo of an empty database and drops it afterwards."""
    name = f"cinema_{uuid.uuid4().hex[:12]}"
    server.create_database(name)
    yield server.dsn(name)
    server.drop_database(name)


@pytest.fixture(scope="module")
def loaded(postgres_server: PostgresServer) -> Iterator[str]:
    """A database with the cinema made from Sakila."""
    for conninfo in new_database(postgres_server):
        cinema.load(conninfo)
        yield conninfo


@pytest.fixture(scope="module")
def generated(postgres_server: PostgresServer) -> Iterator[str]:
    """A database with a generated cinema of 500 films."""
    for conninfo in new_database(postgres_server):
        cinema.scale(conninfo, films=500)
        yield conninfo


@pytest.fixture
def empty(postgres_server: PostgresServer) -> Iterator[str]:
    """An empty database."""
    yield from new_database(postgres_server)


def one(conninfo: str, query: str, *values: object) -> object:
    """Returns the only value of a query."""
    with psycopg.connect(conninfo) as conn:
        row = conn.execute(query.encode(), values or None).fetchone()
    return row[0] if row else None


def fingerprint(conninfo: str) -> dict[str, str]:
    """Returns a hash of all rows, by table."""
    with psycopg.connect(conninfo) as conn:
        statement = sql.SQL("SELECT md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM {} t")
        found = {table: conn.execute(statement.format(sql.Identifier(*table.split(".")))).fetchone() for table in LOADED}
    return {table: row[0] for table, row in found.items() if row}


def test_sakila_is_loaded_whole(loaded: str) -> None:
    """Every film, actor, category, rental and link of Sakila has its row."""
    assert cinema.is_loaded(loaded)
    assert cinema.row_counts(loaded) == LOADED


def test_loading_again_gives_the_same_rows(loaded: str, empty: str) -> None:
    """Two databases hold the same rows, keys and times included."""
    assert not cinema.is_loaded(empty)
    assert cinema.load(empty) == LOADED
    assert fingerprint(empty) == fingerprint(loaded)


def test_times_are_utc_and_not_in_the_future(loaded: str) -> None:
    """Sakila's times are read as UTC, whatever the zone of the server, and no cursor is ahead of the clock."""
    assert one(loaded, "SELECT min(rented_at) = '2005-05-24 22:53:30+00' FROM ugc.rentals")
    assert one(loaded, "SELECT min(updated_at) = '2006-02-15 05:03:43+00' AND max(updated_at) = '2006-02-15 05:20:22+00' FROM content.film_work")
    assert one(loaded, "SELECT max(updated_at) < now() FROM (SELECT updated_at FROM ugc.rentals UNION ALL SELECT updated_at FROM ugc.ratings) t")


def test_unrented_films_have_no_rating(loaded: str) -> None:
    """The 42 films without a rental have NULL, all others the mean of their ratings."""
    assert one(loaded, "SELECT count(*) FROM content.film_work WHERE rating IS NULL") == 42
    wrong = """
        SELECT count(*) FROM content.film_work f
        WHERE rating IS DISTINCT FROM (SELECT round(avg(r.rating), 1)::float FROM ugc.ratings r WHERE r.film_id = f.id)"""
    assert one(loaded, wrong) == 0


def test_every_film_has_its_people(loaded: str) -> None:
    """Each film has one director and one or two writers; some have no actor, as in Sakila."""
    roles = "SELECT array_agg(DISTINCT n) FROM (SELECT count(*) n FROM content.person_film_work WHERE role = %s GROUP BY film_work_id) c"
    assert one(loaded, roles, "director") == [1]
    assert one(loaded, roles, "writer") == [1, 2]
    assert one(loaded, "SELECT count(*) FROM content.person_film_work WHERE role = %s", "actor") == 5462


def test_generator_makes_any_size(generated: str) -> None:
    """500 films come with people, genres, links, ratings and rentals in the promised proportions."""
    assert cinema.row_counts(generated) == {
        "content.film_work": 500,
        "content.person": 150,
        "content.genre": 26,
        "content.person_film_work": 2500,
        "content.genre_film_work": 1000,
        "ugc.rentals": 2000,
        "ugc.ratings": 2000,
    }
    assert one(generated, "SELECT count(*) FROM content.film_work WHERE rating IS NULL") == 25
    assert one(generated, "SELECT max(updated_at) < now() FROM ugc.rentals")


@pytest.mark.parametrize("films", [1, 2, 27])
def test_generator_makes_small_sizes(films: int, empty: str) -> None:
    """Sizes below the number of genres or persons keep every link unique."""
    counts = cinema.scale(empty, films, ratings_per_film=99)
    assert counts["content.film_work"] == films
    assert counts["content.person_film_work"] == 5 * films


def test_generator_is_deterministic(generated: str, empty: str) -> None:
    """The same size gives the same rows in another database, also where another size stood before."""
    cinema.scale(empty, 20)
    cinema.scale(empty, 500)
    assert fingerprint(empty) == fingerprint(generated)


@pytest.mark.parametrize(("films", "ratings"), [(0, 4), (5, -1), (5, 100)], ids=["no films", "negative", "too many"])
def test_generator_refuses_impossible_sizes(films: int, ratings: int, empty: str) -> None:
    """Sizes out of range are refused with both numbers, before anything is dropped."""
    with pytest.raises(ValueError, match=rf"films={films} must be at least 1 and ratings_per_film={ratings} between 0 and 99"):
        cinema.scale(empty, films, ratings_per_film=ratings)
    assert not cinema.is_loaded(empty)


@pytest.mark.parametrize("name", sorted(path.stem for path in SQL.glob("*.sql")))
def test_queries_need_only_select(name: str, postgres_server: PostgresServer, loaded: str) -> None:
    """A role that owns nothing and may only SELECT can run every shipped query, and gets rows."""
    database = loaded.rsplit("/", 1)[1]
    query = SQL.joinpath(f"{name}.sql").read_bytes()
    window = {"low": "2005-01-01", "high": "infinity"} if b"%(low)s" in query else None
    with psycopg.connect(postgres_server.dsn(database, role="reader")) as conn:
        assert conn.execute(query, window).fetchone() is not None
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("UPDATE content.film_work SET title = title")


@pytest.mark.parametrize(("name", "rows"), [("movies", 500), ("persons", 150)])
def test_filter_on_keys_reads_only_those(name: str, rows: int, generated: str) -> None:
    """A condition on keys around a document query reads the named rows through indexes, not the tables."""
    query = SQL.joinpath(f"{name}.sql").read_bytes()
    with psycopg.connect(generated) as conn:
        # Small tables are scanned whole by right: the question is whether the condition can reach the indexes.
        conn.execute("SET enable_seqscan = off")
        every = conn.execute(query).fetchall()
        ids = [row[0] for row in every[:10]]
        wrapped = b"SELECT * FROM (\n" + query + b"\n) q WHERE q.id = ANY(%s)"
        assert sorted(conn.execute(wrapped, (ids,)).fetchall()) == sorted(every[:10])
        plan = conn.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + wrapped, (ids,)).fetchone()
    assert len(every) == rows
    scans = list(_scans(plan[0][0]["Plan"])) if plan else []
    assert scans
    assert [scan["Relation Name"] for scan in scans if scan["Node Type"] == "Seq Scan"] == []
    read = {scan["Relation Name"]: scan["Actual Rows"] * scan["Actual Loops"] for scan in scans}
    assert read["film_work" if name == "movies" else "person"] <= 50, json.dumps(read)
    assert read["person_film_work"] < 300


def _scans(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "Relation Name" in node:
        yield node
    for child in node.get("Plans", []):
        yield from _scans(child)


def test_documents_are_in_order(generated: str) -> None:
    """People stand by name and key, genres by name, however the rows lie: two reads in different plans agree."""
    query = SQL.joinpath("movies.sql").read_bytes()
    with psycopg.connect(generated) as conn:
        first = sorted(conn.execute(query).fetchall())
        conn.execute("SET enable_nestloop = off; SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off")
        assert sorted(conn.execute(query).fetchall()) == first
    for row in first:
        assert row[2] == sorted(row[2])
        assert row[6] == [person["name"] for person in row[9]]


def test_each_change_of_the_demo_finds_rows(empty: str) -> None:
    """Three rounds of the demo's changes each change rows in every way, and no round undoes the one before."""
    cinema.load(empty)
    before = fingerprint(empty)
    for _ in range(3):
        done = change_source(empty)
        assert list(done) == list(read_changes())
        assert [what for what, count in done.items() if count < 1] == []
        after = fingerprint(empty)
        assert [table for table in before if before[table] == after[table]] == []
        before = after
    assert one(empty, "SELECT count(*) FROM content.film_work") == 1000 + 3 - 15


def test_the_containers_script_loads_the_same(postgres_server: PostgresServer, loaded: str, empty: str) -> None:
    """The script that docker compose runs in the source container makes the same rows."""
    script = (ROOT / "devstack/sql/load_cinema.sh").read_text(encoding="utf-8").replace(' --file="$cinema/sql/reader_role.sql"', "")
    environ = {
        "PATH": f"{program('psql').parent}{os.pathsep}{os.environ['PATH']}",
        "PGHOST": postgres_server.host,
        "PGPORT": str(postgres_server.port),
        "PGPASSWORD": "postgres",
        "POSTGRES_USER": "postgres",
        "POSTGRES_DB": empty.rsplit("/", 1)[1],
        "SOURCE_READER_PASSWORD": "secret",
        "CINEMA_HOME": str(ROOT / "devstack"),
    }
    done = subprocess.run(["/bin/sh", "-c", script], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert fingerprint(empty) == fingerprint(loaded)
