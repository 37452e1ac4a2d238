"""Whether a target is as its source, by counts and checksums over the columns that both have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any

import elasticsearch
from elasticsearch.helpers import scan
from psycopg import sql

from benchmarks.peers.yard import Yard

_SUM = """SELECT count(*), coalesce(sum(hashtextextended(ROW(id::bigint, user_id::int, kind::text, amount::numeric(12,2), payload::jsonb,
 updated_at::timestamptz)::text, 0)::numeric), 0) FROM {}"""
_TWICE = "SELECT count(*) - count(DISTINCT id) FROM {}"
_COLUMNS = (
    """SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""
)
_KEY = "SELECT EXISTS (SELECT FROM pg_index WHERE indrelid = %s::regclass AND indisprimary)"
_FILMS = """
SELECT f.id::text, f.title, f.rating,
       ARRAY(SELECT DISTINCT g.name FROM content.genre_film_work l JOIN content.genre g ON g.id = l.genre_id WHERE l.film_work_id = f.id ORDER BY 1),
       ARRAY(SELECT DISTINCT p.full_name FROM content.person_film_work l JOIN content.person p ON p.id = l.person_id WHERE l.film_work_id = f.id ORDER BY 1)
  FROM content.film_work f"""
Film = tuple[str, str | None, float | None, tuple[str, ...], tuple[str, ...]]
"""Id, title, rating, names of genres and of people without repetition."""


def table_difference(yard: Yard, table: str) -> str:
    """Says how a copy of the narrow table differs from it; empty = by nothing."""
    name = sql.Identifier(*table.split("."))
    if "rows" not in yard.known:
        yard.known["rows"] = yard.execute("source", sql.SQL(_SUM).format(sql.Identifier("events")))[0]
    found = yard.execute("target", sql.SQL(_SUM).format(name))[0]
    twice = yard.execute("target", sql.SQL(_TWICE).format(name))[0][0] if found[0] > yard.known["rows"][0] else 0
    return said_of(yard.known["rows"], found, twice)


def said_of(source: tuple[Any, ...], target: tuple[Any, ...], twice: int) -> str:
    """Puts two results of (rows, checksum) into words; `twice` is how many rows repeat a key."""
    more = int(target[0]) - int(source[0])
    if twice:
        return f"{twice:,} keys twice"
    if more > 0:
        return f"{more:,} rows that are gone in the source"
    if more < 0:
        return f"{-more:,} rows missing"
    return "" if int(target[1]) == int(source[1]) else "other values"


def form_difference(yard: Yard, table: str) -> list[str]:
    """Says what of the columns' types and of the key did not come over."""
    wanted: dict[str, str] = {row[0]: row[1] for row in yard.execute("source", _COLUMNS, ("events",))}
    found: dict[str, str] = {row[0]: row[1] for row in yard.execute("target", _COLUMNS, (table,))}
    said = [f"{name}: {kind} became {found.get(name, 'nothing')}" for name, kind in wanted.items() if found.get(name) != kind]
    if not yard.execute("target", _KEY, (table,))[0][0]:
        said.append("no primary key")
    return said


def documents_difference(yard: Yard, index: str, film_of: Callable[[Mapping[str, Any]], Film]) -> str:
    """Says how an index differs from the films; empty = by nothing."""
    if "films" not in yard.known:
        yard.known["films"] = digests((row[0], row[1], row[2], tuple(row[3]), tuple(row[4])) for row in yard.execute("source", _FILMS))
    client = elasticsearch.Elasticsearch(yard.elasticsearch.url, request_timeout=60)
    try:
        client.indices.refresh(index=index)
        found = digests(film_of(hit["_source"]) for hit in scan(client, index=index, size=2_000))
    finally:
        client.close()
    return said_of_documents(yard.known["films"], found)


def said_of_documents(wanted: Mapping[str, bytes], found: Mapping[str, bytes]) -> str:
    """Puts two sets of films, by id, into words."""
    gone, missing = len(found.keys() - wanted.keys()), len(wanted.keys() - found.keys())
    other = sum(found[key] != digest for key, digest in wanted.items() if key in found)
    words = ((gone, "documents that are gone in the source"), (missing, "documents missing"), (other, "documents with other values"))
    return ", ".join(f"{count:,} {text}" for count, text in words if count)


def digests(films: Iterable[Film]) -> dict[str, bytes]:
    """Returns a digest for each film, by its id."""
    found = {}
    for key, title, rating, genres, people in films:
        text = repr((title, None if rating is None else round(float(rating), 3), sorted(set(genres)), sorted(set(people))))
        found[key] = blake2b(text.encode(), digest_size=8).digest()
    return found
