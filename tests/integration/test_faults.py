"""Crashes of everything, at random moments and between every two steps: afterwards the next cycle ends equal."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Timer
from typing import Any

import pytest

from querymirror.errors import PipelineError, TransientError
from querymirror.records import Ensured, Extraction, RunRequest
from querymirror.sources.postgres import PostgresReader
from querymirror.sync.cycle import Cycle, run_cycle
from querymirror.targets.postgres import PostgresTable
from tests.fixtures.fix_pipeline import Mirror, TargetKind
from tests.fixtures.fix_process import QUERY, SOURCE, Command
from tests.fixtures.fix_tcp_proxy import TcpProxy

pytestmark = pytest.mark.integration

CHANGE = """UPDATE film SET v = v || '!', c = clock_timestamp() WHERE id % 5 = {n}; DELETE FROM film WHERE id % 97 = {n};
            INSERT INTO film SELECT 100000 * (1 + {n}) + n, 'new' FROM generate_series(1, 500) n"""
END_SESSIONS = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'querymirror' AND datname = current_database()"
STEPS = ("detect", "ensure", "extract", "upsert", "delete_orphans", "commit", "write")

# Runs the command line and dies of SIGKILL right after a step.
DIES = """
import os, signal, sys
from querymirror.cli.app import main
from querymirror.records import Ensured, Extraction, RunRequest
from querymirror.state.memory import FileStateStore
from querymirror.sync.cycle import Cycle
step = sys.argv.pop(1)
owner = FileStateStore if step == "write" else Cycle
inner = getattr(owner, step)
def last(*args, **kwargs):
    inner(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, step, last)
main()
"""


def test_killed_after_each_step(command: Command) -> None:
    """A worker killed after any step of a first load or of a later cycle: the run after it ends equal, nothing twice, nothing lost."""
    for n, step in enumerate(STEPS):
        process = command.start("-c", DIES, step)
        process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, step
        command.films.change(CHANGE.format(n=n))
    command.run()
    command.films.assert_equal()
    for n, step in enumerate(STEPS):
        command.films.change(CHANGE.format(n=10 + n))
        process = command.start("-c", DIES, step)
        process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, step
        if n % 3 == 0:
            command.run()
            command.films.assert_equal()
    command.run()
    command.films.assert_equal()


def test_killed_at_random_moments(command: Command) -> None:
    """Workers killed at random moments, one after the other, while the source goes on changing: the first that lives ends equal."""
    chance = random.Random(11)  # noqa: S311 - no secret
    for n in range(6):
        process = command.start()
        time.sleep(chance.uniform(0.3, 2.5))
        process.kill()
        process.communicate()
        command.films.change(CHANGE.format(n=n))
    command.run()
    command.films.assert_equal()


def _asked(side: type) -> list[tuple[type, str]]:
    return [(side, name) for name, what in vars(side).items() if callable(what) and not name.startswith("_") and name != "close"]


@pytest.mark.parametrize(("side", "question"), [*_asked(PostgresReader), *_asked(PostgresTable)])
def test_sessions_ended_before_a_question(mirror: Callable[..., Mirror], side: type, question: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All sessions of a run ended by the administrator just before it asks a side something: an error that may pass, and the next run ends equal."""
    films = mirror(SOURCE, QUERY, cursor_column="c", lag=0)
    films.cycle()
    inner = getattr(side, question)

    def after_the_end(*args: Any, **kwargs: Any) -> Any:
        films.databases.in_source(END_SESSIONS)
        films.databases.in_target(END_SESSIONS)
        return inner(*args, **kwargs)

    for n, mode in enumerate(("incremental", "verify")):
        films.change(f"UPDATE film SET v = v || '!', c = clock_timestamp() WHERE id = 1; DELETE FROM film WHERE id = {10 + n}; INSERT INTO film VALUES ({-n})")
        with monkeypatch.context() as patched, suppress(TransientError):
            patched.setattr(side, question, after_the_end)
            films.cycle(mode=mode)
        films.cycle()
        films.assert_equal()


def _until_it_works(films: Mirror) -> int:
    """Runs cycles as a scheduler would; returns how many failed. Each failure must be one that may pass."""
    for failed in range(10):
        try:
            films.cycle()
        except TransientError:
            time.sleep(0.2)
        else:
            return failed
    pytest.fail("it does not go on by itself")


@pytest.mark.parametrize("moment", [0.0, 0.15, 0.4])
def test_server_killed(mirror: Callable[..., Mirror], target_kind: TargetKind, moment: float) -> None:
    """The server of source and table killed (SIGKILL) under a run: one error that may pass; after its restart the next run ends equal."""
    films = mirror(SOURCE, QUERY, target=target_kind, cursor_column="c", batch_size=5_000)
    if moment:
        films.cycle()
        films.change(CHANGE.format(n=1))
    server = films.databases.server
    with films.open() as cycle:
        detection = cycle.detect(films.state, request := films.request())
        ensured = cycle.ensure(films.state, request, detection)
        extraction = cycle.extract(films.state, request, detection, ensured)
        for batch in extraction.batches[: int(moment * 10) // 2]:
            cycle.upsert(batch, request, ensured)
        server.kill()
        with pytest.raises(TransientError):
            [cycle.upsert(batch, request, ensured) for batch in extraction.batches]
    with pytest.raises(TransientError):
        films.cycle()
    server.start()
    _until_it_works(films)
    films.assert_equal()
    films.change(CHANGE.format(n=2))
    films.cycle()
    films.assert_equal()


def test_elasticsearch_killed(mirror: Callable[..., Mirror]) -> None:
    """Elasticsearch killed under a run: an error that may pass; after its restart the next run ends equal."""
    films = mirror(SOURCE, QUERY, target="elasticsearch", cursor_column="c", batch_size=5_000)
    assert films.indices is not None
    with films.open() as cycle:
        detection = cycle.detect(films.state, request := films.request())
        ensured = cycle.ensure(films.state, request, detection)
        extraction = cycle.extract(films.state, request, detection, ensured)
        cycle.upsert(extraction.batches[0], request, ensured)
        films.indices.server.kill()
        with pytest.raises(TransientError, match="Is Elasticsearch up"):
            cycle.upsert(extraction.batches[1], request, ensured)
    with pytest.raises(TransientError, match="Is Elasticsearch up"):
        films.cycle()
    films.indices.server.start()
    _until_it_works(films)
    films.assert_equal()


@pytest.mark.parametrize("side", ["source", "target"])
def test_cut_connections(mirror: Callable[..., Mirror], tcp_proxy: Callable[[int], TcpProxy], target_kind: TargetKind, side: str) -> None:
    """Connections cut after any number of bytes: an error that may pass each time, and in the end equality."""
    films = mirror(SOURCE, QUERY, target=target_kind, cursor_column="c", batch_size=8_000)
    proxy = tcp_proxy(getattr(films, side).port)
    setattr(films, side, proxy.through(getattr(films, side)))
    chance = random.Random(5)  # noqa: S311 - no secret
    for n, size in enumerate((500, 3_000, 20_000, 200_000, 900_000)):
        proxy.cut_after(chance.randrange(size // 2, size))
        try:
            films.cycle()
        except TransientError:
            proxy.resume()
        proxy.resume()
        films.change(CHANGE.format(n=n))
    assert _until_it_works(films) == 0
    films.assert_equal()


def test_short_stall_passes_unnoticed(mirror: Callable[..., Mirror], tcp_proxy: Callable[[int], TcpProxy], target_kind: TargetKind) -> None:
    """A connection over which nothing comes for two seconds costs two seconds and no error."""
    films = mirror(SOURCE, QUERY, target=target_kind, cursor_column="c")
    proxy = tcp_proxy(films.databases.server.port)
    films.source = proxy.through(films.source)
    with films.open() as cycle:
        cycle.detect(films.state, films.request())
        proxy.stall()
        timer = _after(2.0, proxy.resume)
        run_cycle(cycle, films.store, films.request())
        timer.join()
    films.assert_equal()


@pytest.mark.parametrize("in_copy", [False, True], ids=["question", "stream"])
def test_endless_stall_has_an_end(
    mirror: Callable[..., Mirror],
    tcp_proxy: Callable[[int], TcpProxy],
    monkeypatch: pytest.MonkeyPatch,
    *,
    in_copy: bool,
) -> None:
    """A connection over which nothing comes any more is given up after statement_timeout and some patience, with an error that may pass."""
    monkeypatch.setattr("querymirror.pg.session.PATIENCE", 1)
    films = mirror(SOURCE, QUERY, cursor_column="c", statement_timeout=2)
    proxy = tcp_proxy(films.databases.server.port)
    films.source = proxy.through(films.source)
    with films.open() as cycle:
        request = films.request()
        detection = cycle.detect(films.state, request)
        ensured = cycle.ensure(films.state, request, detection)
        extraction = cycle.extract(films.state, request, detection, ensured)
        begun = time.monotonic()
        if in_copy:
            _after(0.0, lambda: _stall_in_the_stream(proxy))
        else:
            proxy.stall()
        with pytest.raises(TransientError):
            _write_and_count(cycle, request, ensured, extraction)
        assert time.monotonic() - begun < 40
    proxy.resume()
    films.cycle()
    films.assert_equal()


def _write_and_count(cycle: Cycle, request: RunRequest, ensured: Ensured, extraction: Extraction) -> None:
    for batch in extraction.batches:
        cycle.upsert(batch, request, ensured)
    cycle.source.count()


def _stall_in_the_stream(proxy: TcpProxy) -> None:
    enough = proxy.forwarded + 300_000
    while proxy.forwarded < enough:
        time.sleep(0.001)
    proxy.stall()


def _after(seconds: float, work: Callable[[], None]) -> Timer:
    timer = Timer(seconds, work)
    timer.daemon = True
    timer.start()
    return timer


def test_outage_leaves_one_clear_error(mirror: Callable[..., Mirror], tcp_proxy: Callable[[int], TcpProxy]) -> None:
    """A refused connection says which connection, and what to look at; no state moves."""
    films = mirror(SOURCE, QUERY, cursor_column="c")
    films.cycle()
    proxy = tcp_proxy(films.databases.server.port)
    films.target = proxy.through(films.target)
    proxy.refuse()
    before = films.state
    with pytest.raises(PipelineError, match=r"^analytics_db: .*Is the server up and reachable from this worker\?$") as caught:
        films.cycle()
    assert isinstance(caught.value, TransientError)
    assert films.state == before
