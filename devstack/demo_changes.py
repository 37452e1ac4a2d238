"""What the demo does to the source between its two cycles; the application's part is to set `updated_at`."""

from __future__ import annotations

from pathlib import Path

import psycopg

MARK = "-- change: "
SQL_FILE = Path(__file__).resolve().parent / "sql" / "demo_changes.sql"


def change_source(conninfo: str) -> dict[str, int]:
    """Changes the cinema in one transaction; each call does other changes than the one before.

    Args:
        conninfo: of the source database, as a role that may write.

    Returns:
        rows by what was done to them, in order.
    """
    done: dict[str, int] = {}
    # A session of its own that ends: PostgreSQL reports the counters of a session at the latest then.
    with psycopg.connect(conninfo) as conn:
        row = conn.execute("SELECT count(*) FROM content.film_work WHERE title LIKE 'Late Night Premiere %'").fetchone()
        conn.execute("SELECT set_config('demo.round', %s, true)", (str(1 + (row[0] if row else 0)),))
        for what, statement in read_changes().items():
            done[what] = conn.execute(statement).rowcount
    return done


def read_changes() -> dict[str, bytes]:
    """Returns the statements of demo_changes.sql by what they do."""
    parts = SQL_FILE.read_text(encoding="utf-8").split(MARK)[1:]
    return {what: statement.encode() for what, statement in (part.split("\n", 1) for part in parts)}
