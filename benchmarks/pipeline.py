"""A pipeline of the benchmarks: run in this process, or as users run it."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.processes import CommandError, Finished
from benchmarks.stage import Stage
from querymirror.records import CycleSummary, RunRequest
from querymirror.runtime import open_cycle
from querymirror.spec.loader import find_spec, load_settings
from querymirror.spec.pipeline import PipelineSpec
from querymirror.state.memory import FileStateStore
from querymirror.sync.cycle import Cycle, run_cycle

_runs = itertools.count(1)


class Pipeline:
    """One of the include folder's pipelines.

    Args:
        stage: its servers.
        name: its id.
    """

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage, self.name = stage, name
        self.store = FileStateStore(self.state_file)

    @property
    def state_file(self) -> Path:
        """Where its state is kept."""
        return self.stage.root / f"state-{self.name}.json"

    @cached_property
    def spec(self) -> PipelineSpec:
        """What its file says."""
        return find_spec(self.name, self.stage.include)

    def open(self, **ports: int) -> Cycle:
        """Returns its steps; `ports` puts relays in place of servers, by connection id."""
        addresses = {name: replace(address, port=ports.get(name, address.port)) for name, address in self.stage.addresses().items()}
        source, target = addresses[self.spec.source.conn_id], addresses[self.spec.target.conn_id]
        return open_cycle(self.spec, source=source, target=target, settings=load_settings(self.stage.include))

    def cycle(self, **request: Any) -> tuple[CycleSummary, float, float]:
        """Runs a cycle in this process; returns its summary, seconds with logins, and seconds of CPU."""
        begun, used = time.monotonic(), time.process_time()
        with self.open() as cycle:
            summary = run_cycle(cycle, self.store, self.request(**request))
        return summary, time.monotonic() - begun, time.process_time() - used

    def request(self, **given: Any) -> RunRequest:
        """Returns a request with a run id of its own."""
        return RunRequest(run_id=f"bench__{next(_runs)}", **given)

    def process(self, *options: str, environ: Mapping[str, str] | None = None) -> tuple[Finished, dict[str, Any]]:
        """Runs `python -m querymirror run` with a state file; returns what it used and the summary it printed."""
        finished = processes.run(self.command("--json", *options), environ or self.stage.environ())
        return finished, json.loads(finished.output)

    def command(self, *options: str) -> list[str]:
        """Returns the command that runs a cycle with the state file."""
        folder = str(self.stage.include)
        return [sys.executable, "-m", "querymirror", "run", self.name, "--include", folder, "--state", str(self.state_file), *options]

    def forget(self) -> None:
        """Drops the target table and the state."""
        self.stage.execute("target", f"DROP TABLE IF EXISTS {self.table}")
        self.state_file.unlink(missing_ok=True)

    @property
    def table(self) -> str:
        """The target table's name."""
        return f"analytics.{self.name}"

    def ready(self) -> None:
        """Loads the target, unless it is loaded, and lets a quiet cycle settle what the load left open."""
        if self.store.read(self.name) is None:
            self.stage.say(f"loading {self.name}")
            self.cycle()
            self.stage.execute("target", f"VACUUM (ANALYZE) {self.table}")
        # VACUUM doesn't move the counters that a cycle looks at; an autovacuum that was open during the load may hold a bound back.
        for _ in range(20):
            if self.cycle()[0].outcome == "quiet":
                return
            time.sleep(0.5)
        message = f"{self.name} does not come to rest: {self.cycle()[0].reasons}"
        raise CommandError(message)


def expect(what: str, found: object, wanted: object) -> None:
    """Fails a measurement that did not do its work.

    Raises:
        CommandError: `found` is not `wanted`.
    """
    if found != wanted:
        message = f"{what}: {found} instead of {wanted}"
        raise CommandError(message)
