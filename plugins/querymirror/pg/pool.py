"""Sessions that are used again: a process that asks many small questions of few servers logs in once, not once a question."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from querymirror.connections import Address
from querymirror.pg.session import CONNECT_TIMEOUT, BoundedConnection, log_in, opened_by

IDLE = 60.0  # seconds after which an unused session is closed
AGE = 900.0  # seconds after which a session is not handed out again: rights and settings of a role reach only new ones


@dataclass(frozen=True)
class _Session:
    """A session with what it may be handed out for; `at` is when it was born, `since` when it was last given back, by the monotonic clock."""

    key: tuple[object, ...]
    conn: BoundedConnection
    at: float
    since: float


class SessionPool:
    """Read-only sessions of one process, each with one borrower at a time.

    A session is asked before it is handed out, so that a server that was restarted meanwhile costs a login and no error. One that a borrower
    left inside a transaction is closed, never handed on. A changed password or host is another session.

    Args:
        idle: seconds after which an unused session is closed.
        age: seconds after which a session is not handed out again.
    """

    def __init__(self, *, idle: float = IDLE, age: float = AGE) -> None:
        self._idle_seconds, self._age = idle, age
        self._lock = threading.Lock()
        self._idle: dict[tuple[object, ...], list[_Session]] = defaultdict(list)
        self._sweeper: threading.Timer | None = None

    @contextmanager
    def lending(self) -> Iterator[None]:
        """Lets `pg.session.connect` borrow inside this block, in this thread; what was borrowed goes back at its end, closed or not."""
        lent: list[_Session] = []

        def borrow(address: Address, statement_timeout: int) -> psycopg.Connection[Any]:
            lent.append(self._take(address, statement_timeout))
            return lent[-1].conn

        try:
            with opened_by(borrow):
                yield
        finally:
            for session in lent:
                self._give_back(session)

    def close(self) -> None:
        """Closes the sessions that nobody has borrowed."""
        self._close(self._taken_out(lambda _: True))

    def __len__(self) -> int:
        """Returns how many sessions wait to be borrowed."""
        with self._lock:
            return sum(len(kept) for kept in self._idle.values())

    def _take(self, address: Address, statement_timeout: int) -> _Session:
        key = _key(address, statement_timeout)
        while (session := self._pop(key)) is not None:
            if time.monotonic() - session.at < self._age and _answers(session.conn, statement_timeout):
                return session
            self._close([session])
        conn = log_in(address, read_only=True, statement_timeout=statement_timeout)
        conn.lent = True
        now = time.monotonic()
        return _Session(key, conn, at=now, since=now)

    def _pop(self, key: tuple[object, ...]) -> _Session | None:
        # the last one given back first: the others grow idle, and go
        with self._lock:
            kept = self._idle.get(key)
            return kept.pop() if kept else None

    def _give_back(self, session: _Session) -> None:
        if session.conn.closed or session.conn.info.transaction_status != TransactionStatus.IDLE:
            self._close([session])
            return
        with self._lock:
            self._idle[session.key].append(_Session(session.key, session.conn, session.at, time.monotonic()))
            self._sweep_later()

    def _sweep_later(self) -> None:
        if self._sweeper is None:
            self._sweeper = threading.Timer(self._idle_seconds, self._sweep)
            self._sweeper.daemon = True
            self._sweeper.start()

    def _sweep(self) -> None:
        now = time.monotonic()
        old = self._taken_out(lambda session: now - session.since >= self._idle_seconds)
        with self._lock:
            self._sweeper = None
            if any(self._idle.values()):
                self._sweep_later()
        self._close(old)

    def _taken_out(self, wanted: Any) -> list[_Session]:
        with self._lock:
            found = [session for kept in self._idle.values() for session in kept if wanted(session)]
            for key, kept in list(self._idle.items()):
                self._idle[key] = [session for session in kept if session not in found]
                if not self._idle[key]:
                    del self._idle[key]
            return found

    @staticmethod
    def _close(sessions: list[_Session]) -> None:
        for session in sessions:
            session.conn.lent = False
            session.conn.close()


def _key(address: Address, statement_timeout: int) -> tuple[object, ...]:
    extra = tuple(sorted((name, str(value)) for name, value in address.extra.items()))
    return address.host, address.port, address.login, address.password, address.schema, extra, statement_timeout


def _answers(conn: BoundedConnection, statement_timeout: int) -> bool:
    conn.patience = CONNECT_TIMEOUT  # an answer that long in coming is none
    try:
        conn.execute("SELECT 1")
    except psycopg.Error:
        return False
    conn.patience_for(statement_timeout)
    return True
