"""What a process costs: its memory, its start, and the seconds of whole cycles."""

from __future__ import annotations

import sys
from statistics import mean

from benchmarks import processes
from benchmarks.paired import Sample, in_turn
from benchmarks.pipeline import Pipeline, expect
from benchmarks.proxy import CountingProxy
from benchmarks.results import Row
from benchmarks.rows.tables import events_pipeline
from benchmarks.stage import Stage

MOST_MEMORY = 200  # MB
_CHANGED = 100  # rows of a changed cycle


def memory(stage: Stage) -> list[Row]:
    """Peak memory of `python -m querymirror run` at two sizes, for both kinds of target: a first load, a comparison, deletes."""
    stage.say(f"{stage.events:,} narrow rows are there")
    small, large = stage.profile.memory_rows
    peaks: dict[str, list[dict[str, float]]] = {}
    for kind in ("postgres", "elasticsearch"):
        peaks[kind] = [_peaks(stage, kind, size) for size in (small, large)]
    works = {"first load": "first load", "comparison": "comparison of everything", "deletes": "a tenth of the rows gone"}
    return [
        Row(
            "memory",
            f"peak memory of a worker, {large:,} rows, {kind}: {words}",
            f"the same at {small:,} rows",
            "MB",
            [at_large[name]],
            [at_small[name]],
            judge="bounded",
            limit=MOST_MEMORY,
        )
        for kind, (at_small, at_large) in peaks.items()
        for name, words in works.items()
    ]


def _peaks(stage: Stage, kind: str, size: int) -> dict[str, float]:
    stage.say(f"memory with {size:,} rows, {kind}")
    name, query = f"memory_{kind}_{size}", "SELECT id, user_id, kind, amount, payload, updated_at FROM events WHERE id <= {} AND id > {}"
    index = {"type": "elasticsearch", "conn_id": "movies_es", "index": name, "index_config": {"mappings": {"dynamic": False}}}
    if kind == "elasticsearch":
        stage.say(f"index at {stage.elasticsearch.url}")
    target = index if kind == "elasticsearch" else None
    # The table `events` stands still for later works, so the rows that go leave by the query: keys_sql shows fewer keys than the rows loaded.
    stage.add(name, query.format(size, 0), target)
    pipeline = Pipeline(stage, name)
    first, summary = pipeline.process()
    loaded = summary["upserted"]
    second, summary = pipeline.process("--verify")
    expect("rows written", summary["upserted"], 0)
    stage.add(name, query.format(size, 0), target, keys_sql=f"SELECT id FROM events WHERE id <= {size} AND id > {size // 10}")  # noqa: S608 - a spec's text
    third, summary = pipeline.process("--verify")
    expect("rows deleted", summary["deleted"] > loaded // 20, wanted=True)
    return {"first load": first.peak_mb, "comparison": second.peak_mb, "deletes": third.peak_mb}


def start(stage: Stage) -> list[Row]:
    """From the start of `python -m querymirror run` to its first query, against a Python that only imports the driver."""
    pipeline = Pipeline(stage, stage.pings(stage.profile.quiet_rows[0] + 1))
    pipeline.ready()

    def ours() -> Sample:
        with CountingProxy(stage.postgres.port) as proxy:
            finished, _ = pipeline.process(environ=stage.environ(movies_db=proxy.port, analytics_db=proxy.port))
            asked = proxy.first_query
        expect("a query came", asked is not None, wanted=True)
        return Sample((asked or 0.0) - finished.begun, finished.cpu, {"whole quiet run s": finished.seconds})

    def theirs() -> Sample:
        finished = processes.run([sys.executable, "-c", "import psycopg"])
        return Sample(finished.seconds, finished.cpu)

    pair = in_turn(stage.profile.start_repeats, ours, theirs)
    work = "start of python -m querymirror run to its first query"
    return [pair.row("start", work, 'python -c "import psycopg"', "s", judge="above", limit=0.7)]


def cycles(stage: Stage) -> list[Row]:
    """Mean wall and CPU seconds of quiet and of changed cycles, in a process that runs already."""
    pipeline = events_pipeline(stage)
    pipeline.ready()
    rows = []
    for what, count in (("quiet", 0), (f"changed ({_CHANGED} rows)", _CHANGED)):
        walls, cpus, outcomes = [], [], set()
        for _ in range(stage.profile.start_repeats):
            if count:
                _touch(stage, count)
            summary, wall, cpu = pipeline.cycle()
            walls.append(wall)
            cpus.append(cpu)
            outcomes.add(summary.outcome)
        expect("outcomes", outcomes, {"changed" if count else "quiet"})
        notes = {"mean s": round(mean(walls), 4), "mean CPU s": round(mean(cpus), 4)}
        rows.append(Row("cycles", f"a {what} cycle over {stage.events:,} rows, in process", "", "s", walls, notes=notes))
    return rows


def _touch(stage: Stage, count: int) -> None:
    stage.execute("source", "UPDATE events SET updated_at = (SELECT max(updated_at) FROM events) + interval '10 minutes' WHERE id <= %s", (count,))
