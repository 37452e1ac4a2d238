"""The usual script from table to table: fetchmany from a server-side cursor, execute_values with ON CONFLICT.

`python hand_events.py SOURCE TARGET`; it keeps its place as the highest cursor of the target.
"""

from __future__ import annotations

import sys

import psycopg2
from psycopg2.extras import execute_values

ROWS = 10_000
CREATE = """
CREATE SCHEMA IF NOT EXISTS peers_hand;
CREATE TABLE IF NOT EXISTS peers_hand.events (
    id bigint PRIMARY KEY, user_id int, kind text, amount numeric(12,2), payload jsonb, updated_at timestamptz
)"""
READ = "SELECT id, user_id, kind, amount, payload::text, updated_at FROM events"
UPSERT = """
INSERT INTO peers_hand.events (id, user_id, kind, amount, payload, updated_at) VALUES %s
ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, kind = excluded.kind, amount = excluded.amount,
                               payload = excluded.payload, updated_at = excluded.updated_at"""


def main() -> None:
    """Copies what has changed."""
    source, target = (psycopg2.connect(dsn) for dsn in sys.argv[1:3])
    with target, target.cursor() as write:
        write.execute(CREATE)
        write.execute("SELECT max(updated_at) FROM peers_hand.events")
        since = write.fetchone()[0]
        with source, source.cursor("events") as read:
            read.itersize = ROWS
            read.execute(READ + " WHERE updated_at > %s" if since else READ, (since,) if since else None)
            while rows := read.fetchmany(ROWS):
                execute_values(write, UPSERT, rows, page_size=ROWS)


if __name__ == "__main__":
    main()
