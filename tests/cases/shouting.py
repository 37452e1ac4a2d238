"""A pipeline with a transform that shouts, and what its target must hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from querymirror.records import Reject
from tests.fixtures.fix_pipeline import Mirror, TargetKind

SOURCE = """
CREATE TABLE film (id int PRIMARY KEY, title text, price numeric, flags bytea, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX ON film (updated_at);
INSERT INTO film (id, title, price, flags, updated_at)
  SELECT n, 'film ' || n, n + 0.10, decode(lpad(to_hex(n), 8, '0'), 'hex'), '2024-01-01'::timestamptz + n * interval '1 minute' FROM generate_series(1, 2500) n;
"""
QUERY = "SELECT id, title, price, flags, updated_at FROM film"
TABLE = """CREATE TABLE IF NOT EXISTS analytics.mirrored (
    id int PRIMARY KEY, title character varying(100) NOT NULL, price numeric, flags bytea, length smallint DEFAULT 0, words text[])"""
PROPERTIES = {
    "id": {"type": "integer"},
    "title": {"type": "keyword"},
    "price": {"type": "double"},
    "flags": {"type": "binary"},
    "length": {"type": "short"},
    "words": {"type": "keyword"},
}
INDEX = {"mappings": {"dynamic": "strict", "properties": PROPERTIES}}
SHOUT = """
def shout(batch):
    for row in batch:
        row["title"] = row["title"].upper()
        row["length"] = len(row["title"])
        row["words"] = row["title"].split()
    return [row for row in batch if not row["title"].endswith("7")]
"""


def code(text: str, name: str = "shout") -> dict[str, Any]:
    """Returns the fields of a spec whose transform is in this text."""
    return {"transform": f"transforms.films:{name}", "transform_code": {"text": text, "file": "transforms/films.py", "function": name}}


def transformed(mirror: Callable[..., Mirror], kind: TargetKind, text: str = SHOUT, **fields: Any) -> Mirror:
    """Returns a pipeline over 2,500 films with a transform."""
    form = {"create_sql": TABLE} if kind == "postgres" else {"index_config": INDEX}
    given = {"omit": ["updated_at"], "cursor_column": "updated_at", "batch_size": 1100, **form, **code(text), **fields}
    return mirror(SOURCE, QUERY, target=kind, **given)


def held(films: Mirror) -> dict[int, tuple[Any, ...]]:
    """Returns title, price, flags, length and words of what the target holds."""
    if films.indices is None:
        found = films.databases.in_target("SELECT id, title, price::text, encode(flags, 'base64'), length, words FROM analytics.mirrored")
        return {row[0]: tuple(row[1:]) for row in found}
    names = ("title", "price", "flags", "length", "words")
    return {int(key): tuple(str(row[n]) if n == "price" and row[n] is not None else row[n] for n in names) for key, row in films.rows_target().items()}


def wanted(films: Mirror) -> dict[int, tuple[Any, ...]]:
    """Returns what `shout` makes of the query, worked out in SQL."""
    price = "price::text" if films.indices is None else "price::float8::text"
    rows = films.databases.in_source(
        f"""SELECT id, upper(title), {price}, encode(flags, 'base64'), length(title), string_to_array(upper(title), ' ')
              FROM film WHERE right(title, 1) <> '7'"""
    )
    return {row[0]: tuple(row[1:]) for row in rows}


def rejects_of(films: Mirror) -> list[Reject]:
    """Returns its dead letters."""
    with films.open() as cycle:
        return list(cycle.target.rejects())
