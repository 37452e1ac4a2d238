"""The loop that watches a source: one session for all, quiet between movements, alive through whatever happens to the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from querymirror.connections import Address
from querymirror.triggers.watch_loop import Moved, WatchedSource
from querymirror.triggers.watch_state import APPLICATION_NAME
from tests.fixtures.fix_pipeline import Mirror
from tests.fixtures.fix_tcp_proxy import TcpProxy

pytestmark = pytest.mark.integration

FILM = "CREATE TABLE film (id int PRIMARY KEY, v text); INSERT INTO film SELECT n, 'v' FROM generate_series(1, 50) n;"
PLAIN = "SELECT id, v FROM film"
QUIET = 2.5  # seconds without an event, two looks and more
SOON = 20.0


class Looking:
    """A loop that runs; its events are awaited one by one.

    Args:
        films: the pipeline that watches; its spec file lies in a folder.
        include: that folder.
        through: where the source is, if not where the pipeline says.
    """

    def __init__(self, films: Mirror, include: Path, through: Address | None = None) -> None:
        self.films, self.file = films, include / "jobs" / f"{films.spec.id}.yaml"
        self.file.parent.mkdir(exist_ok=True)
        self.file.touch()
        self.source = WatchedSource("movies_db", address=self._address, store=lambda: films.store)
        self._through = through or films.source
        self._moved: AsyncIterator[Moved] = self.source.moved()
        self._next: asyncio.Task[Moved] | None = None

    async def _address(self, _conn_id: str) -> Address:
        return self._through

    async def event(self, *, within: float = SOON) -> Moved | None:
        """Returns the next event; None where none comes in time, and the loop runs on."""
        if self._next is None:
            self._next = asyncio.ensure_future(anext(self._moved))
        done, _ = await asyncio.wait({self._next}, timeout=within)
        if not done:
            return None
        found, self._next = self._next.result(), None
        return found

    def sessions(self) -> list[tuple[str, bool]]:
        """Returns state and quietness of the watchers' sessions in the source."""
        found = self.films.databases.in_source(
            "SELECT state, xact_start IS NULL AND backend_xmin IS NULL FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s",
            (APPLICATION_NAME,),
        )
        return [(str(state), bool(quiet)) for state, quiet in found]

    async def end(self) -> None:
        """Ends the loop, as the triggerer does when its last watcher goes."""
        if self._next is not None:
            self._next.cancel()
            await asyncio.wait({self._next})


@pytest.fixture
def looking(mirror: Callable[..., Mirror], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Looking]:
    """Makes a loop over a filled pipeline."""
    monkeypatch.setenv("QUERYMIRROR_INCLUDE", str(tmp_path))

    def make(source: str = FILM, query: str = PLAIN, through: Callable[[Address], Address] | None = None) -> Looking:
        films = mirror(source, query)
        films.cycle()
        return Looking(films, tmp_path, through(films.source) if through else None)

    return make


def run(test: Callable[[Looking], Awaitable[None]], looking: Looking) -> None:
    """Runs a test's body beside a loop that ends with it."""

    async def whole() -> None:
        try:
            await test(looking)
        finally:
            await looking.end()

    asyncio.run(whole())


def test_events_name_what_moved_since_the_last_commit(looking: Callable[..., Looking]) -> None:
    """Nothing is said where nothing moved or a cycle has carried it; two watchers at two intervals share one idle session."""

    async def body(line: Looking) -> None:
        films, key = line.films, line.films.spec.fingerprint()
        with line.source.watching(films.spec.id, fingerprint=key, seconds=1) as fast, line.source.watching(films.spec.id, fingerprint=key, seconds=2) as slow:
            assert await line.event(within=QUIET) is None
            assert line.sessions() == [("idle", True)]
            films.change("UPDATE film SET v = 'new' WHERE id = 1")
            told = {watch for _ in range(2) for watch in (await line.event(within=QUIET) or {})}
            assert told == {fast, slow}
            await asyncio.to_thread(films.cycle)
            assert await line.event(within=QUIET) is None
            films.change("TRUNCATE film")
            found = await line.event() or {}
            assert [said["moved"] for said in found.values()] == [["public.film"]] * len(found) != []
            assert line.sessions() == [("idle", True)]

    run(body, looking())


def test_a_server_that_is_gone_is_waited_for(looking: Callable[..., Looking], tcp_proxy: Callable[[int], TcpProxy], caplog: pytest.LogCaptureFixture) -> None:
    """Its absence is told once, however often it is tried; what moved meanwhile is seen at the first look afterwards."""
    proxies: list[TcpProxy] = []

    def through(address: Address) -> Address:
        proxies.append(tcp_proxy(address.port or 0))
        return proxies[0].through(address)

    async def body(line: Looking) -> None:
        films = line.films
        with line.source.watching(films.spec.id, fingerprint=films.spec.fingerprint(), seconds=1):
            assert await line.event(within=QUIET) is None
            proxies[0].refuse()
            films.change("INSERT INTO film VALUES (100, 'meanwhile')")
            assert await line.event(within=QUIET) is None
            proxies[0].resume()
            assert await line.event() is not None

    run(body, looking(through=through))
    told = [record.getMessage() for record in caplog.records if record.name == "querymirror.triggers.watch_loop"]
    assert [text.split(":")[0] for text in told if "tried again" in text] == ["movies_db can't be looked at and is tried again"]


def test_a_removed_spec_is_not_looked_at(looking: Callable[..., Looking]) -> None:
    """Airflow keeps the watcher of a removed file: it opens no session, and is awake again with the file."""

    async def body(line: Looking) -> None:
        films = line.films
        with line.source.watching(films.spec.id, fingerprint=films.spec.fingerprint(), seconds=1):
            assert await line.event(within=QUIET) is None
            line.file.unlink()
            films.change("INSERT INTO film VALUES (100, 'unseen')")
            assert await line.event(within=QUIET) is None
            assert line.sessions() == []
            line.file.touch()
            assert await line.event() is not None

    run(body, looking())


def test_a_blind_source_is_told_once(looking: Callable[..., Looking], caplog: pytest.LogCaptureFixture) -> None:
    """Where the server counts nothing, the log says so once, and the loop goes on."""

    async def body(line: Looking) -> None:
        films = line.films
        films.databases.in_source("DO $$ BEGIN EXECUTE format('ALTER ROLE reader IN DATABASE %I SET track_counts TO off', current_database()); END $$")
        with line.source.watching(films.spec.id, fingerprint=films.spec.fingerprint(), seconds=1):
            assert await line.event(within=QUIET) is None

    run(body, looking())
    told = [record.getMessage() for record in caplog.records if record.name == "querymirror.triggers.watch_loop"]
    assert told == ["movies_db can't be watched: track_counts is off. Cycles start by the schedule alone."]
