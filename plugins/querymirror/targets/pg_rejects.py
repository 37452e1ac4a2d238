"""Rows the table refused, kept in a table beside it: `<table>__rejects`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from querymirror.records import Reject


class RejectsTable:
    """The dead letters of one target table; made when the first row is refused."""

    def __init__(self, schema: str, name: str) -> None:
        # A name longer than 63 bytes would be cut and could meet another table's.
        self._schema, self._name = schema, f"{name[:50]}__rejects"
        self._table = sql.Identifier(self._schema, self._name)

    def create(self) -> str:
        """Returns the DDL."""
        return (
            sql.SQL(
                "CREATE TABLE IF NOT EXISTS {} (key text PRIMARY KEY, row_data text NOT NULL, reason text NOT NULL, run_id text NOT NULL, "
                "rejected_at timestamptz NOT NULL DEFAULT now())"
            )
            .format(self._table)
            .as_string(None)
        )

    def insert(self) -> str:
        """Returns the statement that keeps one row ($1 key, $2 row, $3 reason, $4 run); a key's later reason replaces its earlier one."""
        return (
            sql.SQL(
                "INSERT INTO {} (key, row_data, reason, run_id) VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO UPDATE "
                "SET row_data = EXCLUDED.row_data, reason = EXCLUDED.reason, run_id = EXCLUDED.run_id, rejected_at = now()"
            )
            .format(self._table)
            .as_string(None)
        )

    def keep(self, conn: psycopg.Connection[Any], rejects: Sequence[Reject]) -> None:
        """Keeps rows, in one transaction."""
        with conn.transaction():
            conn.execute(sql.SQL(self.create()))
            psycopg.RawCursor(conn).executemany(sql.SQL(self.insert()), [(r.key, r.row, r.reason, r.run_id) for r in rejects])

    def exists(self, conn: psycopg.Connection[Any]) -> bool:
        """Whether any row was ever refused."""
        query = sql.SQL("SELECT FROM pg_tables WHERE schemaname = {} AND tablename = {}")
        return conn.execute(query.format(sql.Literal(self._schema), sql.Literal(self._name))).fetchone() is not None

    def list(self, conn: psycopg.Connection[Any]) -> list[Reject]:
        """Lists the rows, the newest first."""
        if not self.exists(conn):
            return []
        rows = conn.execute(
            sql.SQL("SELECT key, row_data, reason, run_id, rejected_at::text FROM {} ORDER BY rejected_at DESC, key").format(self._table)
        ).fetchall()
        return [Reject(key=r[0], row=r[1], reason=r[2], run_id=r[3], at=r[4]) for r in rows]

    def drop(self, conn: psycopg.Connection[Any], keys: Sequence[str] | None) -> int:
        """Deletes rows by key, all without `keys`."""
        if not self.exists(conn):
            return 0
        where = sql.SQL("true") if keys is None else sql.SQL("key = ANY({})").format(sql.Literal(list(keys)))
        return conn.execute(sql.SQL("DELETE FROM {} WHERE {}").format(self._table, where)).rowcount
