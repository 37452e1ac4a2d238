"""One world: a source, its writers, and the pipelines over it. Every action is a name with plain arguments, so a run can be played again."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from elasticsearch import Elasticsearch

from querymirror.records import CycleSummary
from querymirror.spec.pipeline import PipelineSpec
from tests.judge.line import Line, Servers
from tests.judge.variant import Variant
from tests.judge.writers import Given, Writers

_numbers = itertools.count(1)
SHOWN = 12  # differences in a message


class Unequal(AssertionError):  # noqa: N818 - a verdict, no error of the product
    """After quiet a target is not equal to its query."""


class World:
    """Tables, writers and pipelines; `play` does everything.

    Args:
        servers: to run on.
        variant: what to build.
    """

    def __init__(self, servers: Servers, variant: Variant) -> None:
        self.servers, self.variant = servers, variant
        self.schema = f"{servers.prefix}{os.getpid()}_{next(_numbers)}"
        self.journal: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()
        self.seconds: dict[str, float] = {}  # by action
        self._extra, self._delete_missing = 0, variant.delete_missing
        self._unseen: set[str] = set()  # pipelines to which something happened that only `verify` finds, by contract
        with psycopg.connect(servers.source_dsn, autocommit=True) as conn:
            conn.execute(variant.ddl(self.schema).encode())
        self.writers = Writers(servers.source_dsn, variant, self.schema)
        kinds = ["postgres", "elasticsearch"] if variant.elastic else ["postgres"]
        self.lines = [Line(servers, kind, lambda kind=kind: self._spec(kind)) for kind in kinds]  # type: ignore[misc]

    def _spec(self, kind: str) -> PipelineSpec:
        name = f"{self.schema}.mirror" if kind == "postgres" else self.schema.replace("_", "-")
        return self.variant.spec(self.schema, kind, extra=self._extra, delete_missing=self._delete_missing, name=name)

    def play(self, action: str, **given: Any) -> None:
        """Does one action and notes it down."""
        self.journal.append({"action": action, **given})
        self.counts[f"{action} {given['verb']}" if "verb" in given else f"{action} {given['what']}" if "what" in given else action] += 1
        begun = time.monotonic()
        getattr(self, f"_do_{action}")(**given)
        self.seconds[action] = self.seconds.get(action, 0) + time.monotonic() - begun

    def told(self) -> str:
        """Returns the run as JSON lines, the variant first."""
        return "\n".join(json.dumps(line) for line in [dataclasses.asdict(self.variant), *self.journal])

    def _line(self, pick: int) -> Line:
        return self.lines[pick % len(self.lines)]

    def _do_write(self, *, verb: str, session: int = 0, how: str = "now", pick: int = 0, reuse: bool = False) -> None:
        done = self.writers.write(session, verb, Given(how, pick, reuse))
        unseen = (verb == "silent" and self.variant.cursor) or (verb == "dim_rekey" and self.variant.changes)
        if done and unseen:
            self._unseen |= {line.kind for line in self.lines}

    def _do_forge(self, *, line: int) -> None:
        """Changes a target and makes the state agree; only the judge's own test does so."""
        self._line(line).forge()

    def _do_end(self, *, session: int, how: str) -> None:
        self.writers.end(session, how)

    def _do_decide(self, *, pick: int, commit: bool) -> None:
        self.writers.decide(pick, commit=commit)

    def _do_truncate(self, *, refill: int) -> None:
        self.writers.truncate(refill=refill)

    def _do_maintain(self, *, what: str) -> None:
        self.writers.maintain(what)

    def _do_cycle(self, *, line: int, mode: str = "incremental") -> None:
        self._line(line).whole(mode)

    def _do_advance(self, *, line: int, steps: int, mode: str = "incremental") -> None:
        one = self._line(line)
        if not one.touched_midway:
            one.advance(steps, mode)
        elif not one.expect_refusal(lambda: one.advance(steps, mode)):
            self.counts["refused after a touch"] += 1

    def _do_abandon(self, *, line: int) -> None:
        self._line(line).abandon()

    def _do_cut(self, *, line: int, side: str, count: int) -> None:
        self._line(line).cut(side, count)

    def _do_kill(self, *, line: int, milliseconds: int) -> None:
        self._line(line).kill(milliseconds / 1000)

    def _do_touch(self, *, line: int, what: str, pick: int) -> None:
        self._line(line).touch(what, pick)

    def _do_edit(self, *, extra: int, delete_missing: str) -> None:
        self._extra, self._delete_missing = extra, delete_missing

    def _do_settle(self, *, commit: bool = True, finish: bool = False) -> None:
        """Quiet: every transaction ends, counters are reported; then one or at most two cycles must end equal."""
        self.writers.quiet(commit=commit)
        for line in self.lines:
            if finish and line.in_flight:
                line.expect_refusal(lambda line=line: line.advance(1000)) if line.touched_midway else line.advance(1000)  # type: ignore[misc]
            self._judge(line)

    def _judge(self, line: Line) -> None:
        said: list[str] = []
        mode = "verify" if line.kind in self._unseen else "incremental"
        for attempt in ("one cycle", "two cycles"):
            summary = line.whole(mode)
            said.append(_in_words(summary))
            if not (differences := line.differences()):
                self.counts[f"equal after {attempt}"] += 1
                break
        else:
            raise Unequal(self._verdict(line, differences, said))
        self._unseen.discard(line.kind)
        line.touched_midway = False
        for _ in range(2):
            # What a run that was given up wrote looks like somebody else's work: one comparison more.
            summary = line.whole()
            said.append(_in_words(summary))
            if summary.outcome == "quiet":
                break
        if summary.outcome != "quiet" or line.differences():
            raise Unequal(self._verdict(line, ["nothing happened, and the next cycle is not quiet", *line.differences()], said))

    def _verdict(self, line: Line, differences: list[str], said: list[str]) -> str:
        more = f"\n  ... and {len(differences) - SHOWN} more" if len(differences) > SHOWN else ""
        shown = "".join(f"\n  {d}" for d in differences[:SHOWN])
        return f"{line.kind} of {self.schema} after quiet and {len(said)} cycles:{shown}{more}\ncycles: {said}\nstate: {line.store.read(line.spec.id)}"

    def close(self) -> None:
        """Ends all sessions and removes all that was made."""
        self.writers.close()
        for dsn in (self.servers.source_dsn, self.servers.target_dsn):
            with psycopg.connect(dsn, autocommit=True) as conn:
                conn.execute(f"SET client_min_messages TO warning; DROP SCHEMA IF EXISTS {self.schema} CASCADE".encode())
        if self.variant.elastic:
            with Elasticsearch(self.servers.elastic_url, request_timeout=30) as client:
                left = list(client.indices.get(index=f"{self.schema.replace('_', '-')}*", expand_wildcards="all"))
                if left:
                    client.indices.delete(index=left)


def _in_words(summary: CycleSummary) -> str:
    return f"{summary.outcome}: read {summary.read}, upserted {summary.upserted}, deleted {summary.deleted}; {'; '.join(summary.reasons)}"


@contextlib.contextmanager
def played(servers: Servers, told: str) -> Iterator[World]:
    """Plays a run that `told` wrote (a blank line or one that begins with `#` says nothing) and settles it at the end."""
    lines = [json.loads(line) for line in told.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    world = World(servers, Variant(**lines[0]))
    try:
        for given in lines[1:]:
            world.play(**given)
        world.play("settle")
        yield world
    finally:
        world.close()


def keep(world: World, folder: Path) -> Path:
    """Writes a run down so that `python -m tests.judge replay FILE` plays it again."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{world.schema}.jsonl"
    path.write_text(world.told() + "\n", encoding="utf-8")
    return path
