"""One trial: a fleet is built, started, warmed up, watched for some minutes, and accounted for."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from benchmarks import machine
from benchmarks.scale.fleet import Fleet
from benchmarks.scale.metadata import Metadata, Run, in_time
from benchmarks.scale.usage import cpu_seconds, memory_mib
from devstack.errors import DevstackError

SEEN_TIMEOUT = 900.0  # seconds until Airflow knows all pipelines
REST_TIMEOUT = 1800.0  # seconds until the runs of the start are done
NEW_FILE_TIMEOUT = 120.0
NEW_FILES = 3  # spread over the minutes that are watched
LOOK = 30.0  # seconds between two looks at the runs
SERVERS = ("metadata database", "source and target")


@dataclass
class Watched:
    """What was noted while the schedule went on."""

    since: datetime
    until: datetime
    cpu_before: Mapping[str, float]
    logins_before: Mapping[str, int]
    cpu_after: Mapping[str, float] = field(default_factory=dict)
    logins_after: Mapping[str, int] = field(default_factory=dict)
    memory: Mapping[str, float] = field(default_factory=dict)
    new_files: list[float | None] = field(default_factory=list)
    yardstick: list[float] = field(default_factory=list)
    done: timedelta = timedelta()


class Trial:
    """Measures one plan.

    Args:
        fleet: its pipelines.
        keep: takes the results so far; called every half minute.
    """

    def __init__(self, fleet: Fleet, keep: Callable[[dict[str, Any]], None]) -> None:
        self.fleet, self.plan, self.say, self.keep = fleet, fleet.plan, fleet.say, keep
        self._result: dict[str, Any] = {"plan": asdict(self.plan), "complete": False}

    def run(self) -> dict[str, Any]:
        """Returns all numbers of the trial.

        Raises:
            DevstackError: a server fails, or the pipelines don't come to rest.
        """
        self.fleet.build()
        self._result["parsing"] = self._parsing()
        begun = time.monotonic()
        self.say(f"{self.plan.name}: starting Airflow")
        metadata = Metadata(self._start().dsn("airflow"))
        self._wait("pipelines known", metadata.known, len(self.fleet.names), SEEN_TIMEOUT)
        self._result["all_known_seconds"] = time.monotonic() - begun
        # Airflow runs each of them at once, all together; what comes after that is the schedule
        self._wait("pipelines with their first run behind them", metadata.begun, len(self.fleet.names), REST_TIMEOUT)
        watched = self._watch(metadata)
        self._result |= self._account(metadata, watched)
        if self.plan.changing:
            self._result["targets_that_differ"] = self._different()
        self._result["complete"] = True
        self.keep(self._result)
        return self._result

    def _start(self) -> Any:
        self.fleet.airflow  # noqa: B018 - starts it
        return self.fleet.metadata

    def _wait(self, what: str, count: Callable[[], int], wanted: int, timeout: float) -> None:
        end, told = time.monotonic() + timeout, 0.0
        while (found := count()) < wanted:
            if time.monotonic() > end:
                raise DevstackError("airflow", f"{what}: {found} instead of {wanted} after {timeout:.0f} seconds.")
            if time.monotonic() - told > LOOK:
                self.say(f"{self.plan.name}: {what}: {found} (wanted {wanted})")
                told = time.monotonic()
            time.sleep(1)

    def _watch(self, metadata: Metadata) -> Watched:
        since = datetime.now(UTC)
        watched = Watched(since, since + timedelta(minutes=self.plan.minutes), cpu_seconds(self.fleet), self._logins())
        interval = timedelta(minutes=self.plan.interval)
        changed = since - interval
        while datetime.now(UTC) < watched.until:
            now = datetime.now(UTC)
            if self.plan.changing and now - changed >= interval:
                self.fleet.change()
                changed += interval
            place = len(watched.new_files) + 1
            if place <= NEW_FILES and now > since + (watched.until - since) * place / (NEW_FILES + 1):
                watched.new_files.append(self._new_file(metadata, f"newcomer_{place}"))
            self._look(metadata, watched)
            time.sleep(max(0.0, min(LOOK, (watched.until - datetime.now(UTC)).total_seconds())))
        self._note(watched)
        # what became due in the last interval may end after it
        end = watched.until + interval
        while datetime.now(UTC) < end and self._left(metadata, watched):
            time.sleep(2)
        return watched

    def _left(self, metadata: Metadata, watched: Watched) -> bool:
        runs = metadata.runs(watched.since, watched.until)
        return len(runs) < self.plan.runs or any(run.ended is None for run in runs)

    def _note(self, watched: Watched) -> None:
        watched.cpu_after, watched.logins_after, watched.memory = cpu_seconds(self.fleet), self._logins(), memory_mib(self.fleet)
        watched.done = datetime.now(UTC) - watched.since

    def _look(self, metadata: Metadata, watched: Watched) -> None:
        self._note(watched)
        watched.yardstick.append(round(machine.yardstick(), 3))
        account = self._account(metadata, watched)
        self.keep(self._result | account)
        lag, runs = account["lag_seconds"], account["runs"]
        spent = f"{sum(account['cores'].values()):.2f} cores" if account["cores"] else ""
        self.say(
            f"{self.plan.name}: {watched.done.total_seconds() / 60:.1f} of {self.plan.minutes} min, runs {runs['found']} of {runs['expected']}, "
            f"in time {runs['in_time']}, lag median {lag['median']:.1f} s, max {lag['max']:.1f} s, {spent}"
        )

    def _new_file(self, metadata: Metadata, name: str) -> float | None:
        begun = time.monotonic()
        self.fleet.add_spec(name)
        while not metadata.knows(name):
            if time.monotonic() - begun > NEW_FILE_TIMEOUT:
                return None
            time.sleep(0.5)
        return time.monotonic() - begun

    def _account(self, metadata: Metadata, watched: Watched) -> dict[str, Any]:
        runs = [run for run in metadata.runs(watched.since, watched.until) if run.dag_id in self._names]
        seconds = max(watched.done.total_seconds(), 1.0)
        cpu = {name: after - watched.cpu_before[name] for name, after in watched.cpu_after.items()}
        logins = {name: after - watched.logins_before[name] for name, after in watched.logins_after.items()}
        ended = sum(run.ended is not None for run in runs)
        return {
            "since": watched.since.isoformat(timespec="seconds"),
            "minutes": seconds / 60,
            "runs": _counts(runs, self.plan.runs, timedelta(minutes=self.plan.interval)) | metadata.tasks(watched.since, watched.until),
            "lag_seconds": _spread([run.lag for run in runs if run.lag is not None]),
            "cpu_seconds": cpu,
            "yardstick": watched.yardstick,
            "cores": {name: used / seconds for name, used in cpu.items()},
            "cpu_seconds_per_run": sum(cpu.values()) / max(ended, 1),
            "logins": logins,
            "memory_mib": watched.memory,
            "new_file_seconds": None if None in watched.new_files else max(filter(None, watched.new_files), default=None),
            "new_files_seconds": watched.new_files,
            "dag_processor_parse_seconds": metadata.parse_seconds(),
            "dag_bytes": metadata.dag_bytes(),
            "metadata_mib": metadata.database_mib(),
        }

    @property
    def _names(self) -> frozenset[str]:
        return frozenset(self.fleet.names)

    def _logins(self) -> dict[str, int]:
        with psycopg.connect(self.fleet.data.dsn(), autocommit=True) as conn:
            rows = conn.execute("SELECT datname, sessions FROM pg_stat_database WHERE datname IN ('movies', 'analytics')").fetchall()
        return {"source" if name == "movies" else "target": int(sessions) for name, sessions in rows}

    def _parsing(self) -> dict[str, float]:
        self.say(f"{self.plan.name}: parsing in one process")
        server = self.fleet.prepared
        command = [sys.executable, "-m", "benchmarks.scale.parsing", str(self.fleet.include), self.fleet.names[0]]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=server.full_environ(), timeout=600)
        if done.returncode != 0:
            raise DevstackError("parsing", done.stderr[-500:])
        return dict(json.loads(done.stdout.splitlines()[-1]))

    def _different(self) -> int:
        # a last cycle of everyone after the last change
        time.sleep(self.plan.interval * 60)
        return self.fleet.different()


def _counts(runs: list[Run], expected: int, interval: timedelta) -> dict[str, int]:
    states = [run.state for run in runs]
    return {"expected": expected, "found": len(runs), "success": states.count("success"), "failed": states.count("failed"), "in_time": in_time(runs, interval)}


def _spread(values: list[float]) -> dict[str, float]:
    if not values:
        return {"median": 0.0, "p95": 0.0, "max": 0.0}
    ordered = sorted(values)
    return {"median": statistics.median(ordered), "p95": ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))], "max": ordered[-1]}
