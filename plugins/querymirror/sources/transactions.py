"""Transactions that have not ended: seen by every role, with nothing but SELECT."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

_PREPARED = "prepared:"
# The order matters: a transaction that is being prepared shows in the second before it leaves the first.
# A session writes into its own database alone; every role sees which one that is. Unknown = counted.
_OPEN = sql.SQL("""
SELECT l.virtualxid FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
 WHERE l.locktype = 'virtualxid' AND l.pid <> pg_backend_pid()
   AND coalesce(a.datid = (SELECT oid FROM pg_database WHERE datname = current_database()), true)
UNION ALL SELECT 'prepared:' || gid || ':' || transaction FROM pg_prepared_xacts WHERE database = current_database()
""")


def open_transactions(conn: psycopg.Connection[Any]) -> tuple[str, ...]:
    """Returns all transactions of this database that are open or prepared, but this session's own."""
    return tuple(sorted(row[0] for row in conn.execute(_OPEN).fetchall()))


def not_ended(given: set[str], now: set[str]) -> tuple[str, ...]:
    """Returns those of `given` that are open `now`.

    PREPARE TRANSACTION takes the virtual id away: what was prepared since then is returned in place of an id that is gone.
    """
    virtual_gone = any(not t.startswith(_PREPARED) for t in given - now)
    heirs = {t for t in now - given if t.startswith(_PREPARED)} if virtual_gone else set()
    return tuple(sorted(given & now | heirs))
