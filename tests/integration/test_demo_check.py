"""The demo's comparison of targets with queries: it says equal where they are, and finds each kind of difference."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from devstack.demo_check import Comparison, compare_index, compare_table
from tests.fixtures.fix_elasticsearch import Indices
from tests.fixtures.fix_postgres import Databases

INCLUDE = Path(__file__).resolve().parents[2] / "include"


@pytest.fixture
def film_dim(cinema_databases: Databases) -> Iterator[tuple[psycopg.Connection[Any], psycopg.Connection[Any]]]:
    """Sessions in source and target; the target holds what film_dim.sql returns."""
    with psycopg.connect(cinema_databases.source_dsn) as source, psycopg.connect(cinema_databases.target_dsn, autocommit=True) as target:
        target.execute(
            "CREATE SCHEMA analytics; CREATE TABLE analytics.film_dim (film_id uuid, title text, type text, creation_date date, creation_year int,"
            " rating float, created_at timestamptz, updated_at timestamptz)"
        )
        rows = source.execute(INCLUDE.joinpath("sql/film_dim.sql").read_bytes()).fetchall()
        target.cursor().executemany("INSERT INTO analytics.film_dim VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", rows)
        yield source, target


@pytest.fixture
def films(cinema_databases: Databases, indices: Indices) -> Iterator[psycopg.Connection[Any]]:
    """A session in the source; the index `movies` of the test holds what movies.sql returns, without the cursor."""
    config = json.loads(INCLUDE.joinpath("indices/movies.json").read_text(encoding="utf-8"))
    indices.client.indices.create(index=indices.name("movies"), **config)
    with psycopg.connect(cinema_databases.source_dsn) as source:
        with source.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(INCLUDE.joinpath("sql/movies.sql").read_bytes()).fetchall()
        operations: list[dict[str, Any]] = []
        for row in rows:
            operations += [{"index": {"_id": str(row["id"])}}, {name: value for name, value in row.items() if name != "updated_at"}]
        answer = indices.client.bulk(index=indices.name("movies"), operations=operations)
        assert not answer["errors"]
        yield source


def test_equal_table(film_dim: tuple[psycopg.Connection[Any], psycopg.Connection[Any]]) -> None:
    """A table that holds the query's rows is equal."""
    found = compare_table("film_dim", *film_dim)
    assert found == Comparison("film_dim", 1000, 1000)
    assert found.equal


@pytest.mark.parametrize(("column", "value"), [("rating", "9.95"), ("title", "''"), ("updated_at", "updated_at + interval '1 microsecond'"), ("type", "NULL")])
def test_changed_value_in_table(column: str, value: str, film_dim: tuple[psycopg.Connection[Any], psycopg.Connection[Any]]) -> None:
    """One value of one row that differs, by a microsecond even, is found and named."""
    source, target = film_dim
    target.execute(f"UPDATE analytics.film_dim SET {column} = {value} WHERE film_id = (SELECT min(film_id::text)::uuid FROM analytics.film_dim)".encode())
    found = compare_table("film_dim", source, target)
    assert not found.equal
    assert len(found.differences) == 1
    assert " became " in found.differences[0]


def test_missing_and_extra_rows_in_table(film_dim: tuple[psycopg.Connection[Any], psycopg.Connection[Any]]) -> None:
    """A row too few and a row too many are found, also where the counts agree."""
    source, target = film_dim
    target.execute("UPDATE analytics.film_dim SET film_id = gen_random_uuid() WHERE film_id = (SELECT min(film_id::text)::uuid FROM analytics.film_dim)")
    found = compare_table("film_dim", source, target)
    assert (found.source, found.target, found.equal) == (1000, 1000, False)
    assert sorted(line.split(" ", 1)[1] for line in found.differences) == ["is missing", "should be gone"]


def test_equal_index(films: psycopg.Connection[Any], indices: Indices) -> None:
    """An index that holds the query's documents is equal."""
    found = compare_index("movies", films, indices.client, index=indices.name("movies"))
    assert found == Comparison("movies", 1000, 1000)


@pytest.mark.parametrize(
    "change",
    [{"title": "other"}, {"imdb_rating": None}, {"genres": []}, {"actors": [{"id": "1", "name": "x"}]}],
    ids=lambda change: next(iter(change)),
)
def test_changed_document(change: dict[str, Any], films: psycopg.Connection[Any], indices: Indices) -> None:
    """One field of one document that differs is found, in a nested object too."""
    row = films.execute("SELECT id FROM content.film_work WHERE rating IS NOT NULL ORDER BY id LIMIT 1").fetchone()
    key = str(row[0]) if row else ""
    indices.client.update(index=indices.name("movies"), id=key, doc=change)
    found = compare_index("movies", films, indices.client, index=indices.name("movies"))
    assert [line.split(":")[0] for line in found.differences] == [key]


def test_missing_and_extra_documents(films: psycopg.Connection[Any], indices: Indices) -> None:
    """A document too few and one too many are found, also where the counts agree."""
    name = indices.name("movies")
    row = films.execute("SELECT id FROM content.film_work ORDER BY id LIMIT 1").fetchone()
    document = indices.client.get(index=name, id=str(row[0]) if row else "")
    indices.client.delete(index=name, id=document["_id"])
    indices.client.index(index=name, id="left-over", document=document["_source"] | {"id": "left-over"})
    found = compare_index("movies", films, indices.client, index=name)
    assert (found.source, found.target) == (1000, 1000)
    assert found.differences == tuple(sorted((f"{document['_id']} is missing", "left-over should be gone")))
