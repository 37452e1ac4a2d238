"""The source of the demo, the tests and the benchmarks: an online cinema made from Sakila, or generated at any size."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg import sql

HERE = Path(__file__).resolve().parent
SAKILA_TABLES = ("actor", "category", "film", "film_actor", "film_category", "inventory", "customer", "rental")
MOST_RATINGS = 99  # a film; rentals are numbered by film * 100
CINEMA_TABLES = (
    "content.film_work",
    "content.person",
    "content.genre",
    "content.person_film_work",
    "content.genre_film_work",
    "ugc.rentals",
    "ugc.ratings",
)


def is_loaded(conninfo: str) -> bool:
    """Returns whether the database holds a cinema already; loading is one transaction, so it is there whole or not at all."""
    with psycopg.connect(conninfo, autocommit=True) as conn:
        row = conn.execute("SELECT to_regclass('ugc.ratings') IS NOT NULL").fetchone()
    return bool(row and row[0])


def load(conninfo: str) -> dict[str, int]:
    """Replaces the schemas `content` and `ugc` by the cinema made from Sakila; the same rows at every call.

    Args:
        conninfo: of the source database; the role must be allowed to create schemas.

    Returns:
        rows by table.
    """
    with psycopg.connect(conninfo) as conn:
        _run(conn, "cinema_schema", "cinema_keys", "sakila_stage")
        for table in SAKILA_TABLES:
            _copy(conn, table)
        _run(conn, "sakila_to_cinema", "cinema_indexes")
    return _settle(conninfo)


def scale(conninfo: str, films: int, *, ratings_per_film: int = 4) -> dict[str, int]:
    """Replaces the schemas `content` and `ugc` by a generated cinema; the same rows at every call.

    Args:
        conninfo: of the source database; the role must be allowed to create schemas.
        films: how many; three persons to ten films, five parts and two genres a film.
        ratings_per_film: at most 99, and as many rentals; 0 = neither.

    Returns:
        rows by table.

    Raises:
        ValueError: `films` or `ratings_per_film` is out of range.
    """
    if films < 1 or not 0 <= ratings_per_film <= MOST_RATINGS:
        message = f"films={films} must be at least 1 and ratings_per_film={ratings_per_film} between 0 and {MOST_RATINGS}."
        raise ValueError(message)
    with psycopg.connect(conninfo) as conn:
        conn.execute(
            "SELECT set_config('cinema.films', %s, true), set_config('cinema.ratings_per_film', %s, true)",
            (str(films), str(ratings_per_film)),
        )
        _run(conn, "cinema_schema", "cinema_keys", "cinema_scale", "cinema_indexes")
    return _settle(conninfo)


def row_counts(conninfo: str) -> dict[str, int]:
    """Returns the rows of every table of the cinema."""
    counts: dict[str, int] = {}
    with psycopg.connect(conninfo, autocommit=True) as conn:
        for table in CINEMA_TABLES:
            row = conn.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*table.split(".")))).fetchone()
            counts[table] = int(row[0]) if row else 0
    return counts


def _run(conn: psycopg.Connection, *names: str) -> None:
    for name in names:
        conn.execute((HERE / "sql" / f"{name}.sql").read_bytes())


def _copy(conn: psycopg.Connection, table: str) -> None:
    statement = sql.SQL("COPY {} FROM STDIN").format(sql.Identifier("pg_temp", table))
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write((HERE / "data" / f"{table}.tsv").read_bytes())


def _settle(conninfo: str) -> dict[str, int]:
    # Fresh tables have neither statistics nor a visibility map; plans made before autovacuum comes by would be poor.
    with psycopg.connect(conninfo, autocommit=True) as conn:
        for table in CINEMA_TABLES:
            conn.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(*table.split("."))))
    return row_counts(conninfo)
