"""Does every target equal its query? Asked on both sides with SQL and code of its own, none of it the product's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from elasticsearch import Elasticsearch
from psycopg import sql
from psycopg.rows import dict_row

PAGE = 1000
LAST_BITS = 1e-9  # a mean computed another way may end in other bits; nothing else may differ
Documents = dict[str, dict[str, Any]]

FILM_DIM = """
    SELECT id, title, type, creation_date, date_part('year', creation_date)::int, rating, created_at, updated_at FROM content.film_work"""
FILM_RATING_AGG = """
    SELECT film_id, sum(rating)::float8 / count(*), count(*)::int FROM ugc.ratings GROUP BY 1"""
FILM_RENTALS = """
    SELECT id, film_id, user_id, rented_at, returned_at, updated_at FROM ugc.rentals"""
TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "film_dim": (FILM_DIM, ("film_id", "title", "type", "creation_date", "creation_year", "rating", "created_at", "updated_at")),
    "film_rating_agg": (FILM_RATING_AGG, ("film_id", "avg_rating", "ratings_count")),
    "film_rentals": (FILM_RENTALS, ("rental_id", "film_id", "user_id", "rented_at", "returned_at", "updated_at")),
}


@dataclass(frozen=True)
class Comparison:
    """One target beside its query.

    Attributes:
        source: rows of the query.
        target: rows or documents of the target.
        differences: a few of the rows that stand on one side only or differ, in words; none = equal.
    """

    pipeline: str
    source: int
    target: int
    differences: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether both sides hold the same rows."""
        return not self.differences and self.source == self.target


def compare_table(pipeline: str, source: psycopg.Connection[Any], target: psycopg.Connection[Any]) -> Comparison:
    """Compares a table of the analytics database with the source, row by row."""
    query, columns = TABLES[pipeline]
    wanted = {row[0]: row for row in source.execute(query.encode())}
    statement = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier("analytics", pipeline))
    found = {row[0]: row for row in target.execute(statement)}
    return _compare(pipeline, wanted, found, _close)


def compare_index(pipeline: str, source: psycopg.Connection[Any], target: Elasticsearch, *, index: str | None = None) -> Comparison:
    """Compares an index with the source, document by document; `index` where it is not named after the pipeline."""
    index = index or pipeline
    target.indices.refresh(index=index)
    wanted = DOCUMENTS[pipeline](source)
    found = dict(_documents(target, index))
    return _compare(pipeline, wanted, found, lambda left, right: _filled(left) == _filled(right))


def _compare(pipeline: str, wanted: dict[Any, Any], found: dict[Any, Any], same: Callable[[Any, Any], bool]) -> Comparison:
    lines = [f"{key} is missing" for key in wanted.keys() - found.keys()]
    lines += [f"{key} should be gone" for key in found.keys() - wanted.keys()]
    lines += [f"{key}: {wanted[key]} became {found[key]}" for key in wanted.keys() & found.keys() if not same(wanted[key], found[key])]
    return Comparison(pipeline, len(wanted), len(found), tuple(sorted(lines)[:5]))


def _close(left: tuple[Any, ...], right: tuple[Any, ...]) -> bool:
    return all(a == b or (isinstance(a, float) and isinstance(b, float) and abs(a - b) < LAST_BITS) for a, b in zip(left, right, strict=True))


def _filled(document: dict[str, Any]) -> dict[str, Any]:
    # To Elasticsearch a field that is null and one that is not there are the same.
    return {name: value for name, value in document.items() if value is not None}


def _documents(target: Elasticsearch, index: str) -> Iterator[tuple[str, dict[str, Any]]]:
    after: list[Any] | None = None
    while True:
        answer = target.search(index=index, size=PAGE, sort=[{"id": "asc"}], search_after=after, query={"match_all": {}})
        hits = answer["hits"]["hits"]
        yield from ((hit["_id"], hit["_source"]) for hit in hits)
        if len(hits) < PAGE:
            return
        after = hits[-1]["sort"]


def _rows(source: psycopg.Connection[Any], query: str) -> list[dict[str, Any]]:
    with source.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode()).fetchall()


def _movies(source: psycopg.Connection[Any]) -> Documents:
    genres, people = defaultdict(list), defaultdict(list)
    for row in _rows(source, "SELECT film_work_id::text, name FROM content.genre_film_work JOIN content.genre g ON g.id = genre_id ORDER BY name, g.id"):
        genres[row["film_work_id"]].append(row["name"])
    parts = """
        SELECT film_work_id::text, role, p.id::text, full_name AS name
        FROM content.person_film_work JOIN content.person p ON p.id = person_id ORDER BY full_name, p.id"""
    for row in _rows(source, parts):
        people[row["film_work_id"], row["role"]].append({"id": row["id"], "name": row["name"]})
    films = _rows(source, "SELECT id::text, rating AS imdb_rating, title, description FROM content.film_work")
    for film in films:
        film["genres"] = genres[film["id"]]
        for role in ("director", "actor", "writer"):
            film[f"{role}s"] = people[film["id"], role]
            film[f"{role}s_names"] = [person["name"] for person in film[f"{role}s"]]
    return {film["id"]: film for film in films}


def _persons(source: psycopg.Connection[Any]) -> Documents:
    roles: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in _rows(source, "SELECT person_id::text, role, film_work_id::text FROM content.person_film_work ORDER BY person_id, role, film_work_id"):
        roles[row["person_id"]][row["role"]].append(row["film_work_id"])
    people = _rows(source, "SELECT id::text, full_name FROM content.person")
    for person in people:
        person["roles"] = [{"role": role, "film_ids": ids} for role, ids in sorted(roles[person["id"]].items())]
    return {person["id"]: person for person in people}


def _genres(source: psycopg.Connection[Any]) -> Documents:
    return {genre["id"]: genre for genre in _rows(source, "SELECT id::text, name, description FROM content.genre")}


DOCUMENTS: dict[str, Callable[[psycopg.Connection[Any]], Documents]] = {"movies": _movies, "persons": _persons, "genres": _genres}
