"""`python -m tests.judge soak` runs the judge for long; `replay FILE` plays one run again."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

from devstack import elasticsearch, postgres
from tests.fixtures.fix_stack import RUNNING_STACK
from tests.judge.line import Servers
from tests.judge.machine import Tally, judge
from tests.judge.servers import fit_to_worlds, made
from tests.judge.shrink import failure_of, smallest
from tests.judge.world import played

STEPS = 10_000
WORLDS, ACTIONS = 10, 50  # of one round; each round has a seed of its own
MOST_FAILURES = 3


@contextlib.contextmanager
def servers(runs: Path, *, elastic: bool) -> Iterator[Servers]:
    """Starts a PostgreSQL and an Elasticsearch, or takes those of the stack that QUERYMIRROR_TEST_STACK names."""
    given = os.environ.get(RUNNING_STACK)
    root = Path(given) if given else runs / "stack"
    server = postgres.start(root)
    node = elasticsearch.start(root, heap="512m") if elastic else None
    source, target = f"judge_source_{os.getpid()}", f"judge_target_{os.getpid()}"
    try:
        yield made(server, source, target, elastic=node)
    finally:
        server.start()
        for name in (source, target):
            server.drop_database(name)
        if not given:
            server.stop("immediate")
            if node is not None:
                node.kill()


def soak(on: Servers, runs: Path, *, steps: int, number: int) -> int:
    """Runs rounds until `steps` actions are done; returns the number of failures."""
    tally, begun, failures = Tally(), time.monotonic(), 0
    say(f"seed {number}, {steps} steps")
    for round_number in range(steps):
        if tally.steps >= steps or failures >= MOST_FAILURES:
            break
        try:
            judge(on, runs, tally, examples=WORLDS, steps=ACTIONS, number=number + round_number, elastic=on.elastic is not None)
        except Exception:  # noqa: BLE001 - whatever a run ends with is a failure, and the next round goes on
            failures += 1
            say(f"\nFAILURE {failures}, seed {number + round_number}")
            traceback.print_exc(file=sys.stdout, limit=-6)
            _make_small(on, tally)
        say(f"  {_so_far(tally, failures)}, {time.monotonic() - begun:.0f} s")
    _show("actions", tally.actions)
    _show("cycles", tally.cycles)
    _show("seconds", tally.seconds)
    say(f"seed {number}: {_so_far(tally, failures)}, {time.monotonic() - begun:.0f} s")
    return failures


def say(text: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _so_far(tally: Tally, failures: int) -> str:
    return f"{tally.steps} steps, {tally.worlds} worlds, {sum(tally.cycles.values())} cycles, {failures} failures"


def _make_small(on: Servers, tally: Tally) -> None:
    if not tally.failed:
        return
    path = tally.failed[-1]
    run = smallest(on, path.read_text(encoding="utf-8"))
    path.with_suffix(".small.jsonl").write_text(run + "\n", encoding="utf-8")
    say(f"the run: {path}\nits smallest form ({path.with_suffix('.small.jsonl')}):\n{run}\nends with: {failure_of(on, run)}")


def _show(title: str, counts: Mapping[str, float]) -> None:
    say(f"{title}:")
    for name, count in sorted(counts.items()):
        say(f"  {name:<30} {round(count)}")


def main() -> int:
    """Runs a command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.judge", description=__doc__)
    parser.add_argument("command", choices=["soak", "replay"])
    parser.add_argument("file", nargs="?", type=Path, help="of a run that was kept, for replay")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=None, help="of the first round; a random one without it")
    parser.add_argument("--no-elastic", action="store_true", help="tables only, which is faster")
    parser.add_argument("--runs", type=Path, default=None, help="folder for failing runs")
    args = parser.parse_args()
    runs = args.runs or Path(tempfile.mkdtemp(prefix="querymirror-judge-"))
    fit_to_worlds(setattr)
    with servers(runs, elastic=not args.no_elastic) as on:
        if args.command == "soak":
            return min(soak(on, runs, steps=args.steps, number=secrets.randbelow(10**6) if args.seed is None else args.seed), 1)
        with played(on, args.file.read_text(encoding="utf-8")):
            say("equal")
        return 0


if __name__ == "__main__":
    sys.exit(main())
