"""Sessions: one way to connect, one set of settings, one translation of errors.

Both sides use the same text settings, so that a value's text is the same text everywhere.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import asyncpg
import psycopg
from psycopg import sql

from querymirror.connections import Address
from querymirror.errors import PipelineError, TerminalError, TransientError

CONNECT_TIMEOUT = 10  # seconds
# Seconds beyond statement_timeout: by then the server has answered, or no answer will come.
PATIENCE = 15

# A dead peer is noticed after 30 + 3 * 10 seconds, not after the kernel's two hours.
_KEEPALIVE: dict[str, Any] = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}

_TEXT_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "client_encoding": "UTF8",
    # So that the server, too, notices a worker whose machine is gone, and frees its locks.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}

# Classes of SQLSTATE that may pass: connection, resources, operator intervention, system, rollback, lock not available.
_PASSING = ("08", "53", "57", "58", "40", "55P03")


Opener = Callable[[Address, int], psycopg.Connection[Any]]
"""Returns a read-only session of an address, with a statement timeout in seconds."""

_opener: ContextVar[Opener | None] = ContextVar("querymirror_opener", default=None)


class BoundedConnection(psycopg.Connection[Any]):
    """A session whose every wait has an end: a connection over which no byte comes any more is closed from this side."""

    patience: float = CONNECT_TIMEOUT + PATIENCE
    lent = False  # by a pool, which alone closes it

    def patience_for(self, statement_timeout: int) -> None:
        """Sets the end of its waits a little beyond that of its statements, in seconds."""
        self.patience = statement_timeout + PATIENCE

    def close(self) -> None:
        """Ends the session; one that a pool lent goes back there at the end of the lending instead."""
        if not self.lent:
            super().close()

    def wait(self, *args: Any, **kwargs: Any) -> Any:
        """Waits for what psycopg waits for, with the end set before."""
        timer = threading.Timer(self.patience, self._give_up)
        timer.daemon = True
        timer.start()
        try:
            return super().wait(*args, **kwargs)
        finally:
            timer.cancel()

    def _give_up(self) -> None:
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self.fileno())) as mine:
            mine.shutdown(socket.SHUT_RDWR)


def settings_sql(*, read_only: bool, statement_timeout: int) -> str:
    """Returns the SET statements of a session; `statement_timeout` in seconds."""
    values = _TEXT_SETTINGS | {
        "statement_timeout": f"{statement_timeout}s",
        "default_transaction_read_only": "on" if read_only else "off",
        "lc_monetary": "C",
    }
    return ";".join(sql.SQL("SET {} TO {}").format(sql.Identifier(k), sql.Literal(v)).as_string(None) for k, v in values.items())


@contextmanager
def opened_by(opener: Opener) -> Iterator[None]:
    """Inside this block, in this thread, `connect` asks `opener` and logs in nowhere itself; all sessions are read-only then."""
    token = _opener.set(opener)
    try:
        yield
    finally:
        _opener.reset(token)


def connect(address: Address, *, read_only: bool, statement_timeout: int) -> psycopg.Connection[Any]:
    """Opens an autocommit session, or borrows one (see `opened_by`).

    Raises:
        TransientError: the server can't be reached now.
        TerminalError: it refuses the login or the database.
    """
    opener = _opener.get()
    return log_in(address, read_only=read_only, statement_timeout=statement_timeout) if opener is None else opener(address, statement_timeout)


def log_in(address: Address, *, read_only: bool, statement_timeout: int) -> BoundedConnection:
    """Opens an autocommit session of its own.

    Raises:
        TransientError: the server can't be reached now.
        TerminalError: it refuses the login or the database.
    """
    with translated(address.conn_id):
        conn = BoundedConnection.connect(
            host=address.host,
            port=address.port or 5432,
            user=address.login,
            password=address.password,
            dbname=address.schema,
            connect_timeout=CONNECT_TIMEOUT,
            autocommit=True,
            prepare_threshold=None,
            application_name="querymirror",
            **_KEEPALIVE,
            **_ssl_options(address),
        )
        conn.patience_for(statement_timeout)
        conn.execute(sql.SQL(settings_sql(read_only=read_only, statement_timeout=statement_timeout)))
        return conn


async def connect_async(address: Address, *, read_only: bool, statement_timeout: int) -> asyncpg.Connection:
    """Opens the kind of session that streams COPY data, the cheapest way found in Python (see `docs/dependencies.md`)."""
    conn = await asyncpg.connect(
        host=address.host,
        port=address.port or 5432,
        user=address.login,
        password=address.password,
        database=address.schema,
        timeout=CONNECT_TIMEOUT,
        statement_cache_size=0,
        command_timeout=statement_timeout + PATIENCE,
        ssl=_ssl_options(address).get("sslmode"),
        server_settings={"application_name": "querymirror"},
    )
    await conn.execute(settings_sql(read_only=read_only, statement_timeout=statement_timeout))
    return conn


def _ssl_options(address: Address) -> dict[str, Any]:
    known = ("sslmode", "sslcert", "sslkey", "sslrootcert")
    return {name: str(address.extra[name]) for name in known if address.extra.get(name)}


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turns drivers' errors into ours: what may pass becomes `TransientError`, all else `TerminalError`."""
    try:
        yield
    except PipelineError:
        raise
    except (psycopg.Error, asyncpg.PostgresError, asyncpg.InterfaceError) as err:
        raise error_of(err, where) from err
    except asyncpg.InternalClientError as err:
        # asyncpg's own confusion when a session is ended just between two statements ("cannot switch to state 15").
        text = f"connection lost ({err})."
        raise TransientError(text, where=where, fix="Is the server up and reachable from this worker?") from err
    except (OSError, TimeoutError) as err:
        text = f"connection lost or refused ({type(err).__name__}: {err})."
        raise TransientError(text, where=where, fix="Is the server up and reachable from this worker?") from err


def error_of(err: Exception, where: str) -> PipelineError:
    """Returns our error for a driver's; the message is the server's, which names no password."""
    state = getattr(err, "sqlstate", None) or ""
    text = " ".join(str(err).split())
    if not state and isinstance(err, asyncpg.InterfaceError | psycopg.OperationalError | psycopg.InterfaceError):
        refused = ("password authentication failed", "no password supplied", "does not exist", "no pg_hba.conf entry")
        if any(part in text for part in refused):
            return TerminalError(f"{text}.", where=where, fix="Check the Airflow connection.")
        return TransientError(f"{text}.", where=where, fix="Is the server up and reachable from this worker?")
    if state.startswith(_PASSING):
        return TransientError(f"{text} (SQLSTATE {state}).", where=where)
    return TerminalError(f"{text} (SQLSTATE {state}).", where=where)
