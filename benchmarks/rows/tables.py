"""Table to table: loads, comparisons, changes."""

from __future__ import annotations

import time

from psycopg import sql

from benchmarks import processes
from benchmarks.paired import Sample, in_turn
from benchmarks.pipeline import Pipeline, expect
from benchmarks.results import Row
from benchmarks.stage import Stage
from benchmarks.workers import Workers, workers
from querymirror.spec.loader import load_settings

ONE_BATCH = 10_000_000
PIPE = "psql COPY (FORMAT binary) | psql COPY"
_COPY_IN = "COPY analytics.events_baseline FROM STDIN (FORMAT binary)"
_ALL = sql.SQL("SELECT * FROM events")


def events_pipeline(stage: Stage, name: str = "events", *, batch_size: int = ONE_BATCH) -> Pipeline:
    """Returns a pipeline over the narrow table, which is made where it is missing."""
    stage.say(f"{stage.events:,} narrow rows are there")
    stage.add(name, "SELECT id, user_id, kind, amount, payload, updated_at FROM events", batch_size=batch_size, parallelism=1)
    return Pipeline(stage, name)


def copy_out(query: sql.Composable) -> sql.Composed:
    """Returns the COPY of a query to standard output, binary."""
    return sql.SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(query)


def empty_baseline(stage: Stage) -> None:
    """Makes the baseline's table anew, in the same form as the pipelines'."""
    stage.execute("target", stage.file("events_table"))
    stage.execute("target", "GRANT ALL ON SCHEMA analytics TO analytics; ALTER TABLE analytics.events_baseline OWNER TO analytics")


def fill_baseline(stage: Stage) -> None:
    """Loads the baseline's table."""
    empty_baseline(stage)
    processes.pipes((stage.psql("source", copy_out(_ALL)), stage.psql("target", _COPY_IN)))
    stage.execute("target", "VACUUM (ANALYZE) analytics.events_baseline")


def first_load(stage: Stage) -> list[Row]:
    """One stream into an empty table, against the same through two psql."""
    pipeline = events_pipeline(stage)

    def ours() -> Sample:
        pipeline.forget()
        stage.settle()
        finished, summary = pipeline.process()
        expect("rows loaded", summary["upserted"], stage.events)
        return Sample(summary["seconds"], finished.cpu, {"whole process s": finished.seconds})

    def theirs() -> Sample:
        empty_baseline(stage)
        stage.settle()
        finished = processes.pipes((stage.psql("source", copy_out(_ALL)), stage.psql("target", _COPY_IN)))
        return Sample(finished.seconds, finished.cpu)

    pair = in_turn(stage.profile.repeats, ours, theirs)
    work = f"first load, {stage.events:,} narrow rows, table to table, one stream"
    return [pair.row("first_load", work, PIPE, "s", judge="ratio", limit=1.15)]


def parallel(stage: Stage) -> list[Row]:
    """Two batches in two processes, against two pipes over the same key ranges."""
    pipeline = events_pipeline(stage, "events_two", batch_size=stage.events * 6 // 10)
    middle = sql.Literal(stage.events // 2)
    halves = [sql.SQL("SELECT * FROM events WHERE id < {}").format(middle), sql.SQL("SELECT * FROM events WHERE id >= {}").format(middle)]

    def theirs() -> Sample:
        empty_baseline(stage)
        stage.settle()
        finished = processes.pipes(*((stage.psql("source", copy_out(half)), stage.psql("target", _COPY_IN)) for half in halves))
        return Sample(finished.seconds, finished.cpu)

    with workers(2) as pool:
        pair = in_turn(stage.profile.repeats, lambda: _two_batches(pipeline, pool), theirs)
    work = f"first load, {stage.events:,} narrow rows, two batches in parallel"
    return [pair.row("parallel", work, f"two {PIPE}, two key ranges", "s", judge="ratio", limit=1.15)]


def _two_batches(pipeline: Pipeline, pool: Workers) -> Sample:
    """All steps of a cycle, as `run_cycle` does them, but for the batches, which the waiting processes move."""
    pipeline.forget()
    pipeline.stage.settle()
    request, begun = pipeline.request(), time.monotonic()
    addresses = pipeline.stage.addresses()
    with pipeline.open() as cycle:
        detection = cycle.detect(None, request)
        ensured = cycle.ensure(None, request, detection)
        extraction = cycle.extract(None, request, detection, ensured)
        expect("batches", len(extraction.batches), 2)
        places = (addresses["movies_db"], addresses["analytics_db"])
        settings = load_settings(pipeline.stage.include)
        results = pool.upsert(pipeline.spec, places, settings, batches=extraction.batches, request=request, ensured=ensured)
        moved = time.monotonic()
        orphans = cycle.delete_orphans(request, detection, ensured, extraction)
        cycle.commit(None, request, detection=detection, ensured=ensured, extraction=extraction, results=results, orphans=orphans)
    ended = time.monotonic()
    expect("rows loaded", sum(r.upserted for r in results), pipeline.stage.events)
    return Sample(ended - begun, notes={"after the last batch s": ended - moved})


def compare(stage: Stage) -> list[Row]:
    """A full comparison that finds nothing, against loading everything beside the table and merging."""
    pipeline = events_pipeline(stage)
    pipeline.ready()
    fill_baseline(stage)
    stage_table = "CREATE UNLOGGED TABLE analytics.events_stage (LIKE analytics.events_baseline)"
    merge = stage.file("events_merge", stage="analytics.events_stage")

    def ours() -> Sample:
        stage.settle()
        summary, seconds, cpu = pipeline.cycle(mode="verify")
        expect("rows written", (summary.upserted, summary.deleted), (0, 0))
        return Sample(seconds, cpu)

    def theirs() -> Sample:
        stage.execute("target", "DROP TABLE IF EXISTS analytics.events_stage")
        stage.settle()
        copied = processes.pipes(
            (stage.psql("source", copy_out(_ALL)), stage.psql("target", stage_table, "COPY analytics.events_stage FROM STDIN (FORMAT binary)"))
        )
        merged = processes.together(stage.psql("target", merge))
        return Sample(copied.seconds + merged.seconds, copied.cpu + merged.cpu, {"of it MERGE s": merged.seconds})

    pair = in_turn(stage.profile.repeats, ours, theirs)
    stage.execute("target", "DROP TABLE IF EXISTS analytics.events_stage")
    work = f"full comparison of {stage.events:,} rows, nothing differs"
    return [pair.row("compare", work, "COPY to an unlogged table, MERGE ... IS DISTINCT FROM", "s", judge="ratio", limit=0.6)]


def incremental(stage: Stage) -> list[Row]:
    """A few changed rows, whole process from start to exit, against psql that knows which ones they are."""
    pipeline = events_pipeline(stage)
    pipeline.ready()
    fill_baseline(stage)
    changed = stage.profile.changed
    merge = stage.file("events_merge", stage="events_stage")
    create = "CREATE TEMP TABLE events_stage (LIKE analytics.events_baseline)"

    def ours() -> Sample:
        _change(stage, changed)
        stage.settle()
        finished, summary = pipeline.process()
        expect("rows written", summary["upserted"], changed)
        return Sample(finished.seconds, finished.cpu, {"cycle s": summary["seconds"]})

    def theirs() -> Sample:
        since = stage.execute("source", "SELECT max(updated_at) FROM events")[0][0]
        query = sql.SQL("SELECT * FROM events WHERE updated_at >= {}").format(sql.Literal(since))
        copy_in = "COPY events_stage FROM STDIN (FORMAT binary)"
        stage.settle()
        finished = processes.pipes((stage.psql("source", copy_out(query)), stage.psql("target", create, copy_in, "ANALYZE events_stage", merge)))
        return Sample(finished.seconds, finished.cpu)

    pair = in_turn(stage.profile.repeats, ours, theirs)
    work = f"{changed:,} changed of {stage.events:,}, incremental, whole process"
    return [pair.row("incremental", work, "psql COPY of those rows, then MERGE", "s", judge="above", limit=0.5)]


def _change(stage: Stage, count: int) -> None:
    """Changes rows spread over the table; their cursor lies ten minutes above the last, so that a lag re-reads none of the earlier ones."""
    change = "UPDATE events SET amount = amount + 1, updated_at = (SELECT max(updated_at) FROM events) + interval '10 minutes' WHERE id %% %s = 0"
    stage.execute("source", change, (stage.events // count,))
