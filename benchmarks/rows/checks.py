"""Looks that move no rows: orphans and quiet cycles."""

from __future__ import annotations

import time

import psycopg
from psycopg import sql

from benchmarks import processes
from benchmarks.paired import Sample, in_turn
from benchmarks.pipeline import Pipeline, expect
from benchmarks.proxy import CountingProxy
from benchmarks.results import Row
from benchmarks.rows.tables import events_pipeline
from benchmarks.stage import Stage
from querymirror.records import Detection, Ensured, Extraction

GONE = 10
_BY_HAND = "the two bucket queries in two psql at once"
_LOOK = (Detection(changed=True, check_orphans=True), Ensured(empty=False, refill=False, physical=""), Extraction())


def orphans(stage: Stage) -> list[Row]:
    """The step that looks for orphans, logins included, where none and where ten rows are gone; and the bytes that it moves."""
    pipeline = events_pipeline(stage)
    pipeline.ready()
    buckets = {side: stage.file("events_buckets", table=name) for side, name in (("source", "events"), ("target", pipeline.table))}

    def theirs() -> Sample:
        finished = processes.together(stage.psql("source", buckets["source"]), stage.psql("target", buckets["target"]))
        return Sample(finished.seconds, finished.cpu)

    rows = []
    for gone in (0, GONE):

        def ours(gone: int = gone) -> Sample:
            _delete(stage, gone)
            begun = time.monotonic()
            expect("orphans", _check(pipeline), gone)
            return Sample(time.monotonic() - begun)

        pair = in_turn(stage.profile.repeats, ours, theirs)
        work = f"orphan check, {gone} of {stage.events:,} gone"
        rows.append(pair.row("orphans", work, _BY_HAND, "s", judge="ratio", limit=1.3))
        rows.append(_bytes_moved(stage, pipeline, gone))
    return rows


def _check(pipeline: Pipeline, **ports: int) -> int:
    with pipeline.open(**ports) as cycle:
        return cycle.delete_orphans(pipeline.request(), *_LOOK).deleted


def _delete(stage: Stage, count: int) -> None:
    # Keys far from each other: the worst case for buckets of neighbouring keys. None of them is a row that `incremental` changes.
    step = max(stage.events // (count or 1), 1)
    victims = sql.SQL("SELECT (SELECT min(id) FROM events WHERE id > g * {s} AND id %% 100 <> 0) FROM generate_series(0, {n} - 1) g")
    chosen = victims.format(s=sql.Literal(step), n=sql.Literal(count))
    stage.execute("source", sql.SQL("DELETE FROM events WHERE id IN ({}) AND %s").format(chosen), (True,))


def _bytes_moved(stage: Stage, pipeline: Pipeline, gone: int) -> Row:
    _delete(stage, gone)
    with CountingProxy(stage.postgres.port) as proxy:
        expect("orphans", _check(pipeline, movies_db=proxy.port, analytics_db=proxy.port), gone)
        moved = proxy.moved / 1e6
    work = f"orphan check, {gone} of {stage.events:,} gone: bytes moved, both sides and both ways"
    return Row("orphans", work, "", "MB", [moved], judge="at_most", limit=1)


def quiet(stage: Stage) -> list[Row]:
    """A look that finds nothing, at two sizes: with sessions that are open already, and a whole quiet cycle with its logins."""
    rows = []
    for size in stage.profile.quiet_rows:
        pipeline = Pipeline(stage, stage.pings(size))
        pipeline.ready()
        rows += _quiet_at(stage, pipeline, size)
    return rows


def _quiet_at(stage: Stage, pipeline: Pipeline, size: int) -> list[Row]:
    by_hand, state, repeats = stage.file("counters"), pipeline.store.read(pipeline.name), stage.profile.quiet_repeats
    source = stage.postgres.dsn("movies", role="reader")

    def whole() -> Sample:
        summary, seconds, cpu = pipeline.cycle()
        expect("outcome", summary.outcome, "quiet")
        return Sample(seconds * 1000, cpu)

    def login() -> Sample:
        begun = time.monotonic()
        with psycopg.connect(source, autocommit=True) as conn:
            conn.execute(by_hand, (pipeline.name,)).fetchall()
        return Sample((time.monotonic() - begun) * 1000)

    with pipeline.open() as cycle, psycopg.connect(source, autocommit=True) as conn:

        def look() -> Sample:
            begun, used = time.monotonic(), time.process_time()
            expect("changed", cycle.detect(state, pipeline.request()).changed, wanted=False)
            return Sample((time.monotonic() - begun) * 1000, time.process_time() - used)

        def query() -> Sample:
            begun = time.monotonic()
            conn.execute(by_hand, (pipeline.name,)).fetchall()
            return Sample((time.monotonic() - begun) * 1000)

        look()  # what the first look asks once
        open_sessions = in_turn(repeats, look, query)
    logins = in_turn(repeats, whole, login)
    works = ((f"quiet check, {size:,} rows, sessions open", open_sessions), (f"quiet cycle, {size:,} rows, with its logins", logins))
    base = "the counters query by hand"
    return [pair.row("quiet", work, base, "ms", judge="at_most", limit=10) for work, pair in works]
