"""Orphans of a table: the source's keys are copied beside the table and compared there."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import asyncpg
from psycopg import sql

from querymirror.buckets import Buckets
from querymirror.connections import Address
from querymirror.facts import Key
from querymirror.pg.session import connect_async, translated
from querymirror.targets.base import OpenKeys
from querymirror.targets.pg_loading import LOCK_TIMEOUT
from querymirror.targets.pg_statements import Statements


class TableOrphanSearch:
    """Candidates held in a temporary table of one session."""

    def __init__(self, runner: asyncio.Runner, conn: asyncpg.Connection, statements: Statements, candidates: sql.Identifier, total: int) -> None:
        self._runner, self._conn, self._statements, self._candidates = runner, conn, statements, candidates
        self.total = total

    def pages(self, size: int) -> Iterator[list[Key]]:
        """Yields the candidates' keys."""
        for offset in range(0, self.total, size):
            page = sql.SQL("SELECT * FROM {} ORDER BY ctid OFFSET {} LIMIT {}").format(self._candidates, sql.Literal(offset), sql.Literal(size))
            yield [tuple(row) for row in self._runner.run(self._conn.fetch(page.as_string(None)))]

    def delete(self, keys: Sequence[Key], version: int) -> int:  # noqa: ARG002 - tables have no versions
        """Deletes rows by orphan key, hard or soft; returns how many went."""
        status = self._runner.run(self._conn.execute(self._statements.remove(keys).as_string(None)))
        # The commit's look at the table must count these deletes as the run's own.
        self._runner.run(self._conn.execute("SELECT pg_stat_force_next_flush()"))
        return int(status.split()[-1])


@contextmanager
def table_orphans(
    address: Address, statements: Statements, open_keys: OpenKeys, buckets: Sequence[Buckets], *, lock_name: str | None, statement_timeout: int
) -> Iterator[TableOrphanSearch]:
    """Finds the orphans of some buckets; the session, its lock and its temporary tables end with the block."""
    mark = secrets.token_hex(4)
    keys_name, found = f"querymirror_keys_{mark}", sql.Identifier(f"querymirror_orphans_{mark}")
    keys_table = sql.Identifier(keys_name)
    with translated(address.conn_id), asyncio.Runner() as runner:
        conn = runner.run(connect_async(address, read_only=False, statement_timeout=statement_timeout))
        try:

            async def search() -> int:
                # Alone, until the session ends: a writer that read the source before now must not put back what is deleted here.
                if lock_name is not None:
                    await conn.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}s'")
                    await conn.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", lock_name)
                    await conn.execute("SET lock_timeout = 0")
                await conn.execute(statements.create_keys(keys_table).as_string(None))
                await conn.copy_to_table(keys_name, source=open_keys(buckets), columns=statements.orphan_names(), format="text")
                await conn.execute(sql.SQL("ANALYZE {}").format(keys_table).as_string(None))
                await conn.execute(statements.candidates(keys_table, found, buckets).as_string(None))
                return int(await conn.fetchval(sql.SQL("SELECT count(*) FROM {}").format(found).as_string(None)))

            yield TableOrphanSearch(runner, conn, statements, found, runner.run(search()))
        finally:
            runner.run(conn.close(timeout=5))
