"""One table loaded by two Celery workers that share nothing but servers; one is lost on the way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from time import time
from typing import Any

import psycopg
import pytest

from querymirror.records import CycleSummary
from querymirror.state.base import PipelineState
from tests.fixtures.fix_deployment import wait_until
from tests.fixtures.fix_machines import CONCURRENCY, NAMES, Machines
from tests.fixtures.fix_postgres import run_sql

pytestmark = pytest.mark.celery

ROWS, BATCH = 1_600_000, 100_000
LOOKS = 4  # runs within which the pipeline must be quiet again; two, but for transactions that others hold open
HELD = range(8, 16)  # batches that can't end before the test lets them
LEDGER = f"""
CREATE TABLE ledger (id bigint PRIMARY KEY, account int NOT NULL, amount numeric(12, 2), note text, moved_at timestamptz NOT NULL);
INSERT INTO ledger SELECT i, i % 5000, (i % 100000) / 100.0, CASE WHEN i % 7 = 0 THEN NULL ELSE md5(i::text) END,
       timestamptz '2026-01-01' + i * interval '1 second' FROM generate_series(1, {ROWS}) i;
GRANT SELECT ON ledger TO reader;
ANALYZE ledger;
"""
QUERY = "SELECT id, account, amount, note, moved_at FROM ledger"
SPEC = {
    "description": "A ledger that is loaded by two machines",
    "source": {"conn_id": "movies_db", "query": QUERY, "primary_key": ["id"], "cursor_column": "moved_at"},
    "target": {"type": "postgres", "conn_id": "analytics_db", "table": "analytics.ledger"},
    "schedule": None,
    "batch_size": BATCH,
    "parallelism": len(NAMES) * CONCURRENCY,
}
CHECKSUM = "SELECT count(*), md5(string_agg(md5(t::text), '' ORDER BY id)) FROM ({}) t"


@contextmanager
def held(target_dsn: str, batches: range) -> Iterator[dict[int, psycopg.Connection[Any]]]:
    """Writes a row in the middle of each batch and doesn't commit: COPY waits there until that is rolled back."""
    with ExitStack() as stack:
        holders = {}
        for number in batches:
            holders[number] = stack.enter_context(psycopg.connect(target_dsn))
            row = {"id": number * BATCH + BATCH // 2}
            holders[number].execute("INSERT INTO analytics.ledger VALUES (%(id)s, 0, 0, NULL, now())", row)
        yield holders
        for holder in holders.values():
            holder.rollback()


def blocked_by(dsn: str, holder: psycopg.Connection[Any]) -> set[int]:
    """Returns the sessions that wait for a holder."""
    found = run_sql(dsn, "SELECT pid FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))", (holder.info.backend_pid,))
    return {pid for (pid,) in found}


def running_on(machines: Machines, run_id: str, name: str) -> list[int]:
    """Returns the numbers of the batches that run on a worker."""
    return [task["map_index"] for task in machines.api.batches("ledger", run_id) if task["hostname"] == name and task["state"] == "running"]


def done_on(tasks: list[dict[str, Any]]) -> Counter[str]:
    """Returns how many batches each worker has done."""
    return Counter(task["hostname"] for task in tasks if task["state"] == "success")


def seconds(since: float, moment: str) -> float:
    """Returns the seconds from a moment of ours to one of Airflow's."""
    return datetime.fromisoformat(moment).timestamp() - since


@dataclass(frozen=True)
class Lost:
    """What was running on the worker when it was killed, and when that was."""

    batches: tuple[int, ...]
    at: float

    def measured(self, machines: Machines, run_id: str) -> dict[str, Any]:
        """Returns, for each lost batch, the seconds from the kill until Airflow noticed and until the other worker began it again."""
        tries = {number: machines.api.tries_of_batch("ledger", run_id, number) for number in self.batches}
        return {
            "lost_batches": list(self.batches),
            "noticed_after_s": [round(seconds(self.at, tried[0]["end_date"]), 1) for tried in tries.values()],
            "run_again_after_s": [round(seconds(self.at, tried[1]["start_date"]), 1) for tried in tries.values()],
        }


def lose_a_worker(machines: Machines, run_id: str, holders: Mapping[int, psycopg.Connection[Any]]) -> Lost:
    """Kills the first worker while all it runs are batches half copied; returns once the other one runs these.

    The sessions of the lost worker stay: PostgreSQL does not learn that their client is gone while they wait.
    """
    victim = machines.workers[NAMES[0]]

    def in_the_middle() -> bool:
        mine = running_on(machines, run_id, victim.name)
        done = done_on(machines.api.batches("ledger", run_id))
        return len(mine) == CONCURRENCY and set(done) == set(NAMES) and all(n in holders and blocked_by(machines.target_dsn, holders[n]) for n in mine)

    wait_until(in_the_middle, "both workers to have done batches, and the first one to be in the middle of others", timeout=150)
    lost = tuple(running_on(machines, run_id, victim.name))
    left = {number: blocked_by(machines.target_dsn, holders[number]) for number in lost}
    victim.kill()
    killed = Lost(lost, time())
    for number in set(holders) - set(lost):
        holders[number].rollback()
    for number in lost:
        wait_until(lambda: bool(blocked_by(machines.target_dsn, holders[number]) - left[number]), f"batch {number} to be run again", timeout=120)  # noqa: B023 - asked at once
        assert not blocked_by(machines.target_dsn, holders[number]) & left[number], "the session of the lost worker goes on"
    return killed


def assert_equal(machines: Machines) -> None:
    """Compares all rows of both sides."""
    source = run_sql(machines.source_dsn, CHECKSUM.format(QUERY))
    assert source[0][0] == ROWS
    assert run_sql(machines.target_dsn, CHECKSUM.format("SELECT id, account, amount, note, moved_at FROM analytics.ledger")) == source


def assert_committed_once(machines: Machines, run_id: str) -> None:
    """The state came from this run, in one try; the next runs may look, for the killed sessions touched the table, write nothing, and end quiet."""
    assert [task["state"] for task in machines.api.tries("ledger", run_id, "commit")] == ["success"]
    assert state_of(machines).run_id == run_id
    for _ in range(LOOKS):
        if run_again(machines) == {"skipped"}:
            return
        looked = state_of(machines)
        assert (looked.upserted, looked.deleted) == (0, 0), looked
    pytest.fail(f"not quiet after {LOOKS} runs: {state_of(machines)}")


def state_of(machines: Machines) -> CycleSummary:
    """Returns the last changed cycle of the committed state."""
    last = PipelineState.model_validate_json(machines.api.variable("querymirror:ledger") or "").last
    assert last is not None
    return last


def run_again(machines: Machines) -> set[str]:
    """Runs the pipeline again; returns the states of its tasks."""
    run_id = machines.api.trigger("ledger")
    assert machines.finish("ledger", run_id, timeout=240) == "success"
    return {str(task["state"]) for task in machines.api.tasks("ledger", run_id).values()}


def test_the_workers_share_no_folder(machines: Machines) -> None:
    """Each worker runs its own copy of the code with its own specs, and nothing it was told leads to another machine's files."""
    run_id = machines.api.trigger("where")
    assert machines.finish("where", run_id, timeout=240) == "success"
    for name, worker in machines.workers.items():
        told = machines.api.result("where", run_id, name)
        package = worker.folder / "plugins" / "querymirror" / "__init__.py"
        assert told == [name, str(package), str(worker.folder / "include"), str(worker.folder / "dags" / "where_dag.py")]
        root = worker.folder.parent
        paths = [value for value in worker.environ.values() if str(root) in value]
        assert [value for value in paths if str(worker.folder) not in value] == []


def test_a_lost_worker_costs_time_and_nothing_else(machines: Machines, capsys: pytest.CaptureFixture[str]) -> None:
    """A worker that is killed in the middle of its batches: the other runs them again, the target is equal, the state moves once."""
    run_sql(machines.source_dsn, LEDGER)
    machines.install("ledger", SPEC)
    begun = time()
    run_id = machines.api.trigger("ledger")
    wait_until(lambda: run_sql(machines.target_dsn, "SELECT to_regclass('analytics.ledger') IS NOT NULL") == [(True,)], "the target's table", timeout=150)
    with held(machines.target_dsn, HELD) as holders:
        lost = lose_a_worker(machines, run_id, holders)
    assert machines.finish("ledger", run_id, timeout=240) == "success"
    tasks = machines.api.batches("ledger", run_id)
    ended = max(seconds(begun, task["end_date"]) for task in tasks)
    assert len(tasks) == ROWS // BATCH
    assert {task["map_index"] for task in tasks if task["try_number"] > 1} == set(lost.batches)
    assert {task["hostname"] for task in tasks if task["map_index"] in lost.batches} == {NAMES[1]}
    assert set(done_on(tasks)) == set(NAMES)
    assert_equal(machines)
    assert_committed_once(machines, run_id)
    told = lost.measured(machines, run_id) | {"loaded_after_s": round(ended, 1), "killed_after_s": round(lost.at - begun, 1), "done_by": done_on(tasks)}
    with capsys.disabled():
        print("\n" + json.dumps(told))  # noqa: T201 - the numbers of docs/several-machines.md
