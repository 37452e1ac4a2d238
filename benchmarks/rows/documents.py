"""Tables to an index: the shipped films, first all of them, then those of renamed people."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence

from psycopg import sql

from benchmarks.bulk import BaselineIndex, bodies_of
from benchmarks.paired import Sample, in_turn
from benchmarks.pipeline import Pipeline, expect
from benchmarks.results import Row
from benchmarks.stage import Stage
from querymirror.pg.session import connect_async
from querymirror.records import Batch
from querymirror.sources.copying import copy_out

BASELINE = "bench-baseline"
CPU_OF_SERVERS = "CPU of both servers s"
_CHANGED = """
SELECT array_agg(DISTINCT film_work_id)::text FROM content.person_film_work
 WHERE person_id IN (SELECT id FROM content.person WHERE updated_at = (SELECT max(updated_at) FROM content.person))
"""
_LINES = """
SELECT json_build_object('index', json_build_object('_id', q.id))::text,
       replace(replace((SELECT row_to_json(d) FROM (SELECT {}) d)::text, E'\\n', ' '), E'\\r', ' ')
  FROM ({}) q WHERE q.id = ANY({}::uuid[])
"""


def documents(stage: Stage) -> list[Row]:
    """All films, made from the normalised tables while they are sent, against the same bodies made before."""
    pipeline, baseline = _films(stage)
    bodies = _all_bodies(pipeline)

    def ours() -> Sample:
        baseline.drop_behind(pipeline.name)
        pipeline.state_file.unlink(missing_ok=True)
        stage.settle()
        servers = stage.cpu_of_servers()
        summary, seconds, cpu = pipeline.cycle()
        servers = stage.cpu_of_servers() - servers
        expect("documents", summary.upserted, stage.films)
        return Sample(seconds, cpu, {CPU_OF_SERVERS: servers})

    def theirs() -> Sample:
        stage.settle()
        servers, begun, used = stage.cpu_of_servers(), time.monotonic(), time.process_time()
        baseline.create()
        made = time.monotonic()
        baseline.push(bodies)
        baseline.publish()
        ended = time.monotonic()
        notes = {CPU_OF_SERVERS: stage.cpu_of_servers() - servers, "without making the index s": ended - made}
        sample = Sample(ended - begun, time.process_time() - used, notes)
        expect("documents", baseline.count(), stage.films)
        return sample

    pair = in_turn(stage.profile.document_repeats, ours, theirs)
    work = f"first load of {stage.films:,} film documents, from the normalised tables"
    base = "a new index, then the same bodies, made before, pushed raw by _bulk (5 MB, two in flight, refresh -1)"
    return [pair.row("documents", work, base, "s", judge="ratio", limit=1.1)]


def renamed(stage: Stage) -> list[Row]:
    """The films of renamed people, in one process that runs already, against the best we can write by hand for this one change."""
    pipeline, baseline = _films(stage)
    if pipeline.store.read(pipeline.name) is None:
        stage.say("loading films")
        pipeline.cycle()
    baseline.create()
    baseline.push(_all_bodies(pipeline))
    baseline.publish()
    names = [*json.loads((stage.include / "indices" / "movies.json").read_text(encoding="utf-8"))["mappings"]["properties"]]
    counts: list[int] = []
    needed: list[int] = []

    def ours() -> Sample:
        _rename(stage)
        stage.settle()
        servers = stage.cpu_of_servers()
        summary, seconds, cpu = pipeline.cycle()
        counts.append(summary.upserted)
        return Sample(seconds, cpu, {CPU_OF_SERVERS: stage.cpu_of_servers() - servers})

    def theirs() -> Sample:
        stage.settle()
        servers, begun, used = stage.cpu_of_servers(), time.monotonic(), time.process_time()
        sent = baseline.push_lines(_by_hand(stage, pipeline, names))
        baseline.client.call("POST", f"/{BASELINE}/_refresh")
        sample = Sample(time.monotonic() - begun, time.process_time() - used, {CPU_OF_SERVERS: stage.cpu_of_servers() - servers})
        # a body of which nearly all documents differ is written whole: a few of them may be equal
        expect("documents written at least and not many more", sent <= counts[-1] <= 1.05 * sent, wanted=True)
        needed.append(sent)
        return sample

    pair = in_turn(stage.profile.repeats, ours, theirs)
    work = f"{stage.profile.renamed:,} renamed persons, {needed[-1]:,} documents"
    base = "their film ids, then one COPY of those films as bulk lines, pushed raw"
    return [pair.row("renamed", work, base, "s", judge="ratio", limit=1.15)]


def _films(stage: Stage) -> tuple[Pipeline, BaselineIndex]:
    stage.say(f"{stage.films:,} films are there")
    address = stage.elasticsearch.address("movies_es")
    config = json.loads((stage.include / "indices" / "movies.json").read_text(encoding="utf-8"))
    return Pipeline(stage, "movies"), BaselineIndex(address, BASELINE, config)


def _all_bodies(pipeline: Pipeline) -> list[bytes]:
    """Reads the lines of all films as the pipeline makes them."""
    pipeline.stage.say("making the baseline's bodies")
    with pipeline.open() as cycle:
        columns = cycle.source.describe()
        lines = cycle.source.stream(Batch(number=0, kind="range"), cycle.target.shape(columns))
        return asyncio.run(_collected(lines))


async def _collected(lines: AsyncIterator[bytes]) -> list[bytes]:
    return [body async for body in bodies_of(lines)]


def _rename(stage: Stage) -> None:
    """Renames people; the cursor lies ten minutes above the last, so that a lag re-reads none of the earlier ones."""
    change = """UPDATE content.person SET full_name = full_name || '.', updated_at = (SELECT max(updated_at) FROM content.person) + interval '10 minutes'
                 WHERE id IN (SELECT id FROM content.person ORDER BY id LIMIT %s)"""
    stage.execute("source", change, (stage.profile.renamed,))
    stage.execute("source", "SELECT count(*) FROM content.person")  # whoever reads changed rows first marks them as committed: neither of the two does


async def _by_hand(stage: Stage, pipeline: Pipeline, names: Sequence[str]) -> AsyncIterator[bytes]:
    """Yields the bulk lines of the films of those who were renamed last."""
    conn = await connect_async(stage.addresses()["movies_db"], read_only=True, statement_timeout=600)
    try:
        ids = await conn.fetchval(_CHANGED)
        columns = sql.SQL(", ").join(sql.Identifier("q", name) for name in names)
        query = sql.SQL(pipeline.spec.source.query.text)
        lines = sql.SQL(_LINES).format(columns, query, sql.Literal(ids)).as_string(None)
        async for data in copy_out(conn, lines, format="csv", delimiter="\x02", quote="\x01"):
            yield data.replace(b"\x02", b"\n")
    finally:
        await conn.close()
