"""The works, done by all tools in turn: A, B, C, ..., A, B, C, ..."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import psycopg
from elastic_transport import TransportError
from elasticsearch import ApiError

from benchmarks.peers.contender import Contender
from benchmarks.peers.outcomes import Outcome
from benchmarks.peers.yard import Yard
from benchmarks.processes import CommandError, Finished
from devstack.errors import DevstackError
from querymirror.errors import PipelineError

LONG = 30.0
"""Seconds after which a first load is not repeated."""
RESIDENT = "the same, no process started"
FAILURES = (CommandError, PipelineError, DevstackError, psycopg.Error, ApiError, TransportError, OSError, KeyError)
"""What ends one tool's part and leaves the others alone."""


@dataclass(frozen=True)
class Work:
    """One line of a table.

    Attributes:
        name: in words.
        change: done in the source before each round, once for all tools.
        repeats: rounds.
        kind: a load into nothing; a cycle; or a look of those that need no process for it.
    """

    name: str
    change: Callable[[], None]
    repeats: int
    kind: Literal["first", "cycle", "resident"] = "cycle"


def table_works(yard: Yard) -> list[Work]:
    """Returns what is done to tables, in order."""
    rows = f"{yard.events:,}"
    return [
        Work(f"first load of {rows} rows", yard.stay, 2, "first"),
        Work(f"{yard.profile.changed:,} of {rows} rows changed", yard.change_rows, 3),
        Work(f"nothing changed in {rows} rows", yard.stay, 3),
        Work(RESIDENT, yard.stay, 3, "resident"),
        Work(f"10 of {rows} rows deleted", yard.delete_rows, 3),
    ]


def document_works(yard: Yard) -> list[Work]:
    """Returns what is done to documents, in order."""
    films = f"{yard.films:,}"
    return [
        Work(f"first load of {films} documents", yard.stay, 2, "first"),
        Work(f"{yard.profile.renamed:,} persons renamed", yard.rename_people, 2),
        Work(f"nothing changed in {films} documents", yard.stay, 3),
        Work(RESIDENT, yard.stay, 3, "resident"),
        Work(f"10 of {films} films deleted", yard.delete_films, 2),
    ]


def measure(work: Work, contenders: Sequence[Contender], before: Mapping[str, str], done: Callable[[str, Outcome], None]) -> dict[str, Outcome]:
    """Does a work with all tools.

    Args:
        work: what.
        contenders: who, in the order of turns.
        before: why some can't take part, by name.
        done: called with a tool's outcome whenever it has grown.

    Returns:
        An outcome for each tool, those that failed included.
    """
    taking = [one for one in contenders if one.resident or work.kind != "resident"]
    found = {one.tool.name: Outcome(error=before.get(one.tool.name, "")) for one in taking}
    for turn in range(work.repeats):
        if turn and time.monotonic() - taking[0].yard.begun > taking[0].yard.late:
            break
        work.change()
        # Each round begins with another tool: the first one after a change reads pages that nobody has read since.
        start = turn % len(taking)
        for one in (*taking[start:], *taking[:start]):
            outcome = found[one.tool.name]
            if not outcome.error and not (work.kind == "first" and outcome.seconds and outcome.seconds[0] > LONG):
                one.yard.say(f"  {one.tool.name} {turn + 1}/{work.repeats}")
                _turn(work, one, outcome)
                done(one.tool.name, outcome)
    for one in taking:
        outcome = found[one.tool.name]
        if not outcome.error:
            _look(one, outcome)
        done(one.tool.name, outcome)
    return found


def _turn(work: Work, one: Contender, outcome: Outcome) -> None:
    try:
        if work.kind == "first":
            one.forget()
        else:
            one.before_cycle()
        one.yard.settle()
        finished: Finished = _run(work, one)
    except FAILURES as err:
        outcome.error = _words(err)
        one.yard.say(f"  {one.tool.name}: {outcome.error}")
        return
    outcome.seconds.append(round(finished.seconds, 3))
    outcome.cpu.append(round(finished.cpu, 3))
    outcome.peak_mb.append(round(finished.peak_mb, 1))


def _run(work: Work, one: Contender) -> Finished:
    if work.kind == "first":
        return one.load()
    return one.check() if work.kind == "resident" else one.cycle()


def _look(one: Contender, outcome: Outcome) -> None:
    try:
        outcome.difference = one.difference()
    except FAILURES as err:
        outcome.error = f"its target can't be compared: {_words(err)}"


def _words(err: Exception) -> str:
    return f"{type(err).__name__}: {' '.join(str(err).split())}" if not isinstance(err, CommandError) else str(err)
