"""Runs that overlap - backfills, full refreshes, workers that were given up and write on - never make a row older for good.

The old run reads, and is held before it writes; the source changes; a newer run goes through all its steps; then the old one writes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from querymirror.errors import TransientError
from querymirror.facts import Shape
from querymirror.records import Batch, Window
from querymirror.sync.cycle import Cycle, run_cycle
from tests.fixtures.fix_pipeline import Mirror, TargetKind

pytestmark = pytest.mark.integration

SOURCE = """CREATE TABLE film (id int PRIMARY KEY, v text, c timestamptz DEFAULT clock_timestamp()); CREATE INDEX ON film (c);
            INSERT INTO film SELECT n, 'first', '2024-01-01'::timestamptz + n * interval '1 s' FROM generate_series(1, 200) n"""
QUERY = "SELECT id, v, c FROM film"
EVERYTHING = Window(low="2000-01-01", high="2100-01-01")
OLD_RUNS: dict[str, dict[str, Any]] = {"backfill": {"window": EVERYTHING}, "full refresh": {"mode": "full_refresh"}, "verify": {"mode": "verify"}, "cycle": {}}


class Held:
    """Holds a cycle's writes: each reading is complete, none of it is written before `go`."""

    def __init__(self, cycle: Cycle) -> None:
        self.has_read, self.go = threading.Event(), threading.Event()
        inner = cycle.source.stream

        async def stream(batch: Batch, shape: Shape) -> AsyncIterator[bytes]:
            read = [data async for data in inner(batch, shape)]
            self.has_read.set()
            await asyncio.to_thread(self.go.wait, 60)
            for data in read:
                yield data

        cycle.source.stream = stream  # type: ignore[method-assign]


class Thread(threading.Thread):
    """A run in a thread; `finish` waits for it and raises what it raised."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._work, self._error = work, None
        self.start()

    def run(self) -> None:
        """Keeps the error for `finish`."""
        try:
            self._work()
        except Exception as err:  # noqa: BLE001 - raised again in the test's thread
            self._error = err

    _error: Exception | None

    def finish(self) -> None:
        """Waits, at most a minute."""
        self.join(timeout=60)
        assert not self.is_alive()
        if self._error is not None:
            raise self._error


@contextmanager
def _held_run(films: Mirror, **request: Any) -> Iterator[None]:
    """Starts a run that has read and not yet written; it writes when the block ends."""
    with films.open() as cycle:
        held = Held(cycle)
        old = Thread(lambda: run_cycle(cycle, films.store, films.request(**request)))
        assert held.has_read.wait(30)
        try:
            yield
        finally:
            held.go.set()
            old.finish()


def _newer_run(films: Mirror) -> Thread:
    """Starts a cycle; a table's waits for the older writer, an index's does not."""
    newer = Thread(films.cycle)
    newer.join(timeout=1.0)
    return newer


@pytest.fixture
def films(mirror: Callable[..., Mirror], target_kind: TargetKind) -> Mirror:
    """200 films, loaded, some of which changed since."""
    pipeline = mirror(SOURCE, QUERY, target=target_kind, cursor_column="c")
    pipeline.cycle()
    pipeline.change("UPDATE film SET v = 'second', c = clock_timestamp() WHERE id <= 50")
    return pipeline


@pytest.mark.parametrize("kind", OLD_RUNS)
def test_older_reading_written_later(films: Mirror, kind: str) -> None:
    """A run that read before the newest change and writes after the run that carried it does not take it back."""
    with _held_run(films, **OLD_RUNS[kind]):
        films.change("UPDATE film SET v = 'third', c = clock_timestamp() WHERE id <= 20; DELETE FROM film WHERE id BETWEEN 21 AND 30")
        newer = _newer_run(films)
    newer.finish()
    there = films.rows_target()
    assert {row["v"] for key, row in there.items() if int(row["id"]) <= 20} == {"third"}
    films.cycle()
    films.assert_equal()
    films.cycle()
    films.assert_equal()


@pytest.mark.parametrize("kind", OLD_RUNS)
def test_row_that_only_the_old_run_saw(films: Mirror, kind: str) -> None:
    """A row that was inserted, read by the old run and deleted before the newer one ran is no orphan after the next cycle."""
    films.change("INSERT INTO film VALUES (1000, 'short')")
    with _held_run(films, **OLD_RUNS[kind]):
        films.change("DELETE FROM film WHERE id = 1000")
        newer = _newer_run(films)
    newer.finish()
    films.cycle()
    films.assert_equal()


def test_written_between_the_last_steps(films: Mirror) -> None:
    """What an old run writes after the newer one's orphan check and before its commit is not taken for the newer one's own."""
    films.cycle()
    films.change("INSERT INTO film VALUES (1000, 'short')")
    held = _held_run(films, window=EVERYTHING)
    held.__enter__()
    films.change("DELETE FROM film WHERE id = 1000")
    with films.open() as cycle:
        state, request = films.state, films.request()
        detection = cycle.detect(state, request)
        ensured = cycle.ensure(state, request, detection)
        extraction = cycle.extract(state, request, detection, ensured).model_copy(update={"batches": ()})  # nothing that would wait for the old run
        orphans = cycle.delete_orphans(request, detection, ensured, extraction)
        held.__exit__(None, None, None)
        after, _ = cycle.commit(state, request, detection=detection, ensured=ensured, extraction=extraction, results=[], orphans=orphans)
        assert after is not None
        films.store.write(films.spec.id, after)
    films.cycle()
    films.assert_equal()


def test_window_runs_beside_cycles(films: Mirror) -> None:
    """Backfills that run all the time beside cycles, while rows change, leave both sides equal once all is quiet."""
    end = threading.Event()

    def backfill() -> None:
        while not end.is_set():
            films.cycle(window=EVERYTHING)

    beside = Thread(backfill)
    for n in range(6):
        films.change(f"UPDATE film SET v = 'step {n}', c = clock_timestamp() WHERE id % 7 = {n}; DELETE FROM film WHERE id = {100 + n}")
        films.cycle()
    end.set()
    beside.finish()
    films.cycle()
    films.assert_equal()


def test_state_of_an_old_commit(films: Mirror) -> None:
    """A run that was given up and commits after its replacement moves the state back; the next cycle is equal all the same."""
    with films.open() as cycle:
        state, request = films.state, films.request()
        detection = cycle.detect(state, request)
        ensured = cycle.ensure(state, request, detection)
        extraction = cycle.extract(state, request, detection, ensured)
        results = [cycle.upsert(batch, request, ensured) for batch in extraction.batches]
        orphans = cycle.delete_orphans(request, detection, ensured, extraction)
        films.change("UPDATE film SET v = 'third', c = clock_timestamp() WHERE id <= 20; DELETE FROM film WHERE id = 199; INSERT INTO film VALUES (500, 'x')")
        films.cycle()
        after, _ = cycle.commit(state, request, detection=detection, ensured=ensured, extraction=extraction, results=results, orphans=orphans)
        assert after is not None
        films.store.write(films.spec.id, after)
    films.assert_equal()
    films.change("DELETE FROM film WHERE id = 198; UPDATE film SET v = 'fourth', c = clock_timestamp() WHERE id = 1")
    films.cycle()
    films.assert_equal()


def test_same_batch_twice_at_once(mirror: Callable[..., Mirror]) -> None:
    """A batch that is tried again ends the session of its earlier attempt, should that still hang on somewhere."""
    films = mirror(SOURCE, QUERY, cursor_column="c")
    films.cycle()
    films.change("UPDATE film SET v = 'second', c = clock_timestamp() WHERE id <= 50")
    request = films.request()
    with films.open() as first, films.open() as second:
        held = Held(first)
        detection = first.detect(films.state, request)
        ensured = first.ensure(films.state, request, detection)
        extraction = first.extract(films.state, request, detection, ensured)
        old = Thread(lambda: first.upsert(extraction.batches[0], request, ensured))
        assert held.has_read.wait(30)
        films.change("UPDATE film SET v = 'third', c = clock_timestamp() WHERE id <= 20")
        assert second.upsert(extraction.batches[0], request, ensured).upserted == 50
        held.go.set()
        with pytest.raises(TransientError):
            old.finish()
    films.assert_equal()
