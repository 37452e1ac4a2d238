"""Sessions that are used again: few logins, one borrower at a time, and nothing of one borrower reaches the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import psycopg
import pytest

from querymirror.connections import Address
from querymirror.errors import TerminalError, TransientError
from querymirror.pg.pool import SessionPool
from querymirror.pg.session import connect
from tests.fixtures.fix_postgres import Databases

pytestmark = pytest.mark.integration


@pytest.fixture
def pool() -> Iterator[SessionPool]:
    """A pool whose sessions are closed in the end."""
    found = SessionPool()
    yield found
    found.close()


def _ask(pool: SessionPool, address: Address, statement: str = "SELECT pg_backend_pid()") -> int:
    with pool.lending():
        conn = connect(address, read_only=False, statement_timeout=60)
        row = conn.execute(statement.encode()).fetchone()
        conn.close()
        return int(row[0]) if row else 0


def _eventually(true: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return true()


def test_a_hundred_questions_take_one_login(pool: SessionPool, databases: Databases) -> None:
    """One after the other they are answered by one backend."""
    assert len({_ask(pool, databases.source) for _ in range(100)}) == 1


def test_nobody_shares_a_session(pool: SessionPool, databases: Databases) -> None:
    """Threads that borrow at the same time have a backend each, and two sessions of one borrower are two."""
    together = Barrier(8)

    def hold() -> int:
        with pool.lending():
            conn = connect(databases.source, read_only=True, statement_timeout=60)
            together.wait(30)
            row = conn.execute("SELECT pg_backend_pid()").fetchone()
            together.wait(30)
            return int(row[0]) if row else 0

    with ThreadPoolExecutor(8) as threads:
        for _ in range(5):
            assert len(set(threads.map(lambda _: hold(), range(8)))) == 8
    assert len(pool) == 8
    with pool.lending():
        assert connect(databases.source, read_only=True, statement_timeout=60) is not connect(databases.source, read_only=True, statement_timeout=60)


def test_closing_twice_gives_back_once(pool: SessionPool, databases: Databases) -> None:
    """A borrower that closes its session twice, or after the lending, takes it from nobody."""
    with pool.lending():
        conn = connect(databases.source, read_only=True, statement_timeout=60)
        conn.close()
        conn.close()
    conn.close()
    assert len(pool) == 1
    assert not conn.closed


def test_a_restarted_server_costs_a_login_and_no_error(pool: SessionPool, databases: Databases) -> None:
    """Sessions that the server ended while they waited are replaced before the question is asked."""
    before = _ask(pool, databases.source)
    databases.server.restart()
    assert _ask(pool, databases.source) not in {0, before}
    databases.in_source("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'querymirror'")
    assert _ask(pool, databases.source) > 0


def test_a_session_in_a_transaction_is_never_handed_on(pool: SessionPool, databases: Databases) -> None:
    """Neither an open nor an aborted transaction reaches the next borrower."""
    pids = []
    for statement in ("BEGIN", "BEGIN; SELECT 1/0"):
        with pool.lending():
            conn = connect(databases.source, read_only=True, statement_timeout=60)
            pids.append(conn.info.backend_pid)
            try:
                conn.execute(statement.encode())
            except psycopg.errors.DivisionByZero:
                pids.append(pids[-1])
        assert conn.closed
    assert _ask(pool, databases.source) not in pids


def test_a_borrower_that_fails_gives_back(pool: SessionPool, databases: Databases) -> None:
    """A failed statement leaves the session usable, and the error reaches the borrower."""
    with pytest.raises(psycopg.errors.DivisionByZero):
        _ask(pool, databases.source, "SELECT 1/0")
    assert len(pool) == 1
    assert _ask(pool, databases.source) > 0


def test_idle_sessions_are_closed(databases: Databases) -> None:
    """Those that nobody asks for go by themselves, and the server sees them go."""
    pool = SessionPool(idle=0.3)
    _ask(pool, databases.source)
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'querymirror' AND datname = current_database()"
    assert databases.in_source(query) == [(1,)]
    assert _eventually(lambda: len(pool) == 0 and databases.in_source(query) == [(0,)])


def test_old_sessions_are_replaced(databases: Databases) -> None:
    """A session older than the pool allows is not handed out again: its role's rights and settings may have changed."""
    pool = SessionPool(age=0.2)
    before = _ask(pool, databases.source)
    time.sleep(0.3)
    assert _ask(pool, databases.source) != before
    pool.close()


def test_another_login_is_another_session(pool: SessionPool, databases: Databases) -> None:
    """A password that no longer fits is refused though a session of the old one waits."""
    _ask(pool, databases.source)
    with pytest.raises(TerminalError, match="password authentication failed"):
        _ask(pool, replace(databases.source, password="wrong"))


def test_borrowed_sessions_only_read(pool: SessionPool, databases: Databases) -> None:
    """A borrowed session of the target can't write, whatever was asked for."""
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        _ask(pool, databases.target, "CREATE TABLE t (i int)")


def test_a_server_that_is_down_is_told(pool: SessionPool, databases: Databases) -> None:
    """With no server behind the waiting session the borrower gets the error of a login, and the next one after the start a session."""
    _ask(pool, databases.source)
    databases.server.stop()
    try:
        with pytest.raises(TransientError):
            _ask(pool, databases.source)
    finally:
        databases.server.start()
    assert _ask(pool, databases.source) > 0


def test_outside_of_a_lending_everybody_logs_in(pool: SessionPool, databases: Databases) -> None:
    """Tasks and the command line have sessions of their own, which closing ends."""
    _ask(pool, databases.source)
    conn = connect(databases.source, read_only=True, statement_timeout=60)
    conn.close()
    assert conn.closed
    assert len(pool) == 1
