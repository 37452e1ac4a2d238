"""The one loop over a source's counters that all its watchers in this triggerer process share."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import psycopg
from airflow.sdk.exceptions import AirflowRuntimeError
from psycopg import sql

from querymirror.connections import Address
from querymirror.errors import PipelineError, TransientError
from querymirror.facts import Probe
from querymirror.operators.connections import address_of
from querymirror.pg.counters import read_counters
from querymirror.pg.session import connect, translated
from querymirror.spec.loader import ENDINGS, default_include
from querymirror.state.base import StateStore
from querymirror.state.variables import VariableStateStore
from querymirror.triggers.watch_state import APPLICATION_NAME, Watch

TIMEOUT = 10  # seconds a look may take in the source; it takes under a millisecond
MOST_PAUSE = 60.0  # seconds between two tries to reach a source that is gone
NOTHING = Probe()
_NAMED = sql.SQL("SET application_name TO {}").format(sql.Literal(APPLICATION_NAME))

FindAddress = Callable[[str], Awaitable[Address]]
Moved = Mapping[Watch, dict[str, Any]]
Value = TypeVar("Value")
log = logging.getLogger(__name__)
# states are read through the api-server; a few at once, so that many pipelines that move don't crowd out the tasks' own requests
_STATES = ThreadPoolExecutor(max_workers=4, thread_name_prefix="querymirror-watch-state")
_SOURCES: dict[str, WatchedSource] = {}


def watched_source(conn_id: str) -> WatchedSource:
    """Returns the source of a connection, the same one for all its watchers."""
    return _SOURCES.setdefault(conn_id, WatchedSource(conn_id))


class WatchedSource:
    """A source and the pipelines that watch it.

    Args:
        conn_id: its connection.
        address: finds the connection's address.
        store: makes the store of the pipelines' states, in a thread.
    """

    def __init__(self, conn_id: str, *, address: FindAddress = address_of, store: Callable[[], StateStore] = VariableStateStore) -> None:
        self.conn_id, self._address, self._store = conn_id, address, store
        self._watches: set[Watch] = set()
        self._joined = asyncio.Event()
        self._said: dict[str, str] = {}
        self._pause = 0.0

    @contextmanager
    def watching(self, pipeline: str, *, fingerprint: str, seconds: float) -> Iterator[Watch]:
        """Lets a pipeline watch for as long as this lasts."""
        watch = Watch(pipeline, fingerprint=fingerprint, seconds=seconds)
        self._watches.add(watch)
        self._joined.set()
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    async def moved(self) -> AsyncIterator[Moved]:
        """Yields, look by look, the watches whose tables moved, each with what its event says; never ends and never raises."""
        session = _Session(self.conn_id, self._address)
        try:
            while True:
                found = await self._look(session)
                if found:
                    yield found
                await self._sleep()
        finally:
            session.close()

    async def _sleep(self) -> None:
        self._joined.clear()
        first = min((watch.due for watch in self._watches), default=None)
        wait = None if first is None else max(first - time.monotonic(), self._pause)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._joined.wait(), wait)

    async def _look(self, session: _Session) -> Moved:
        now = time.monotonic()
        due = await _in_thread(_STATES, partial(_with_spec, [watch for watch in self._watches if watch.due <= now], now))
        await self._read_states([watch for watch in due if watch.wants_state(now)])
        asked = frozenset(oid for watch in due for oid in watch.oids)
        if not any(watch.oids for watch in self._watches):
            await session.rest()
        try:
            probe = await session.counters(asked) if asked else NOTHING
        except PipelineError as err:
            self._unreachable(err)
            return {}
        if asked:
            self._reachable()
            self._say("blind", f"{self.conn_id} can't be watched: {probe.blind}. Cycles start by the schedule alone." if probe.blind else "")
        seen = {table.oid: table for table in probe.tables}
        moving = [watch for watch in due if watch.moved(seen, asked)]
        # the state is read before any event: a cycle of the schedule may have carried meanwhile what moved
        await self._read_states([watch for watch in moving if watch.wants_state(now, moving=True)])
        found = {}
        for watch in moving:
            names = watch.moved(seen, asked)
            if names and watch.is_fresh(now) and watch.asks(time.monotonic()):
                found[watch] = {"pipeline": watch.pipeline, "moved": names, "at": datetime.now(UTC).isoformat()}
        return found

    async def _read_states(self, watches: Collection[Watch]) -> None:
        await asyncio.gather(*(self._read_state(watch) for watch in watches))

    async def _read_state(self, watch: Watch) -> None:
        try:
            state = await _in_thread(_STATES, lambda: self._store().read(watch.pipeline))
        except PipelineError as err:
            self._say(f"state {watch.pipeline}", f"{watch.pipeline} can't be watched now: {err}")
            return
        watch.take(state, time.monotonic())
        foreign = f"{watch.pipeline}: {', '.join(watch.uncounted)} can't be watched: a foreign table has no counters. The schedule carries its changes."
        self._say(f"state {watch.pipeline}", foreign if watch.uncounted else "")

    def _say(self, about: str, text: str) -> None:
        """Tells something once, until it is something else."""
        if text and self._said.get(about) != text:
            log.warning("%s", text)
        self._said[about] = text

    def _unreachable(self, err: PipelineError) -> None:
        if not self._pause:
            log.warning("%s can't be looked at and is tried again: %s", self.conn_id, err)
        self._pause = min(max(1.0, 2 * self._pause), MOST_PAUSE)

    def _reachable(self) -> None:
        if self._pause:
            log.info("%s is watched again.", self.conn_id)
        self._pause = 0.0


class _Session:
    """A session of its own thread, opened when it is needed; between two looks it is idle, without a transaction or a snapshot.

    The thread is its own, so that a source that hangs takes none from others.
    """

    def __init__(self, conn_id: str, address: FindAddress) -> None:
        self._conn_id, self._address = conn_id, address
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"querymirror-watch-{conn_id}")
        self._conn: psycopg.Connection[Any] | None = None

    async def counters(self, oids: Collection[int]) -> Probe:
        """Reads the counters of tables.

        Raises:
            PipelineError: the source can't be reached, or refuses.
        """
        try:
            # asked for with each login, so that an edited connection is followed
            address = await self._address(self._conn_id) if self._conn is None else None
        except AirflowRuntimeError as err:
            message = f"Airflow could not be asked for the connection {self._conn_id!r} ({err})."
            raise TransientError(message) from err
        return await _in_thread(self._thread, partial(self._read, address, sorted(oids)))

    async def rest(self) -> None:
        """Ends the session, where there is one; it is opened again when it is needed."""
        if self._conn is not None:
            await _in_thread(self._thread, self._end)

    def close(self) -> None:
        """Ends the session for good, when its thread is free."""
        self._thread.submit(self._end)
        self._thread.shutdown(wait=False)

    def _read(self, address: Address | None, oids: list[int]) -> Probe:
        try:
            with translated(self._conn_id):
                if address is not None:
                    self._conn = connect(address, read_only=True, statement_timeout=TIMEOUT)
                    self._conn.execute(_NAMED)
                if self._conn is None:
                    message = "the session was closed meanwhile."
                    raise TransientError(message, where=self._conn_id)
                return read_counters(self._conn, oids)
        except PipelineError:
            self._end()
            raise

    def _end(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()


def _with_spec(watches: Collection[Watch], now: float) -> list[Watch]:
    """Returns those whose spec is there; Airflow keeps the watcher of a DAG whose file was removed."""
    jobs = default_include() / "jobs"
    found = []
    for watch in watches:
        watch.looked(now)
        if any((jobs / f"{watch.pipeline}{ending}").is_file() for ending in ENDINGS):
            found.append(watch)
        else:
            watch.forget()
    return found


async def _in_thread(pool: ThreadPoolExecutor, work: Callable[[], Value]) -> Value:
    return await asyncio.get_running_loop().run_in_executor(pool, work)
