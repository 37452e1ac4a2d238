"""The judge as hypothesis drives it: rules draw actions, the world plays them, and the end of each run is quiet."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.judge.line import Servers
from tests.judge.variant import Variant, variants
from tests.judge.world import World, keep
from tests.judge.writers import SESSIONS, VERBS, fitting

HOW = ("now", "clock", "tie", "null", "future", "infinity")
MODES = ("incremental", "incremental", "incremental", "incremental", "verify", "full_refresh")
_LINES = st.integers(0, 1)
_PICKS = st.integers(0, 60)
_NUMBERS = st.integers(0, 59_999)
_WRITES = st.fixed_dictionaries(
    {
        "verb": st.sampled_from([*VERBS, *VERBS, "silent"]),
        "session": st.sampled_from([0, 0, *range(1, SESSIONS + 1)]),
        "how": st.sampled_from(HOW),
        "pick": _PICKS,
        "reuse": st.booleans(),
    }
)


TOUCHES = ("update", "delete", "insert", "empty", "drop")
ADMINISTRATION = ("analyze", "vacuum full", "reset")
_RARE = st.sampled_from(["touch", "cut source", "cut target", "kill", "edit", "truncate", "maintain", "abandon"])


def rare(kind: str, line: int, number: int) -> dict[str, Any]:
    """Returns an action that happens seldom; `number`, 0 to 59,999, decides all that it leaves open."""
    actions: dict[str, dict[str, Any]] = {
        "touch": {"action": "touch", "line": line, "what": TOUCHES[number % 5], "pick": number // 5 % 60},
        "cut source": {"action": "cut", "line": line, "side": "source", "count": number},
        "cut target": {"action": "cut", "line": line, "side": "target", "count": number},
        "kill": {"action": "kill", "line": line, "milliseconds": 5 + number % 90},
        "edit": {"action": "edit", "extra": number % 3, "delete_missing": ("hard", "soft")[number // 3 % 2]},
        "truncate": {"action": "truncate", "refill": number % 5},
        "maintain": {"action": "maintain", "what": ADMINISTRATION[number % 3]},
        "abandon": {"action": "abandon", "line": line},
    }
    return actions[kind]


@dataclass
class Tally:
    """What all runs of a machine did, the ones that hypothesis repeats to shrink a failure included."""

    worlds: int = 0
    steps: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    cycles: Counter[str] = field(default_factory=Counter)
    failed: list[Path] = field(default_factory=list)

    def add(self, world: World) -> None:
        """Counts a world that has ended."""
        self.worlds += 1
        self.steps += len(world.journal)
        self.actions.update(world.counts)
        for action, seconds in world.seconds.items():
            self.seconds[action] = self.seconds.get(action, 0) + seconds
        for line in world.lines:
            self.cycles.update({f"{line.kind} {name}": count for name, count in line.cycles.items()})


class Judge(RuleBasedStateMachine):
    """One run; subclasses name the servers (see `machine`)."""

    servers: Servers
    tally: Tally
    runs: Path
    elastic: bool
    world: World | None = None
    broken = True

    def _play(self, action: str, **given: object) -> None:
        self.broken = True
        if self.world is not None:
            self.world.play(action, **given)
        self.broken = False

    def _fitting(self, given: dict[str, Any]) -> dict[str, Any]:
        return {**given, "verb": fitting(given["verb"], self.world.variant)} if self.world is not None else given

    @initialize(data=st.data())
    def build(self, data: st.DataObject) -> None:
        """Makes the world, with some rows in it."""
        variant: Variant = data.draw(variants(elastic=self.elastic))
        self.world = World(self.servers, variant)
        for number in range(data.draw(st.integers(1, 3))):
            self._play("write", verb="insert_many", pick=number)
            self._play("write", verb="dim", pick=number)

    @rule(writes=st.lists(_WRITES, min_size=2, max_size=8))
    def write(self, writes: list[dict[str, Any]]) -> None:
        """Statements of any sessions; those above 0 leave their transaction open."""
        for given in writes:
            self._play("write", **self._fitting(given))

    @rule(writes=st.lists(_WRITES, min_size=1, max_size=3), end=st.booleans())
    def write_late(self, writes: list[dict[str, Any]], end: bool) -> None:
        """Statements of one transaction that stays open, or that was open and ends now."""
        for given in writes:
            self._play("write", **{**self._fitting(given), "session": 1, "how": "now"})
        if end:
            self._play("end", session=1, how="commit")

    @rule(given=_WRITES)
    def write_alone(self, given: dict[str, Any]) -> None:
        """One statement between two quiet moments: nothing else that happens makes a cycle look."""
        self._play("settle")
        self._play("write", **{**self._fitting(given), "session": 0})
        self._play("settle")

    @rule(line=_LINES, late=_WRITES, others=st.lists(_WRITES, min_size=1, max_size=3), how=st.sampled_from(["commit", "prepare"]))
    def overtaken(self, line: int, late: dict[str, Any], others: list[dict[str, Any]], how: str) -> None:
        """A transaction that others overtake, a cycle after each of them, before it ends or is prepared."""
        self._play("write", **{**self._fitting(late), "session": 2, "how": "now"})
        for given in others:
            self._play("write", **{**self._fitting(given), "session": 0, "how": "now"})
            self._play("cycle", line=line)
        self._play("end", session=2, how=how)

    @rule(session=st.integers(1, SESSIONS), how=st.sampled_from(["commit", "commit", "rollback", "prepare", "close"]))
    def end(self, session: int, how: str) -> None:
        """The end of a long transaction."""
        self._play("end", session=session, how=how)

    @rule(pick=_PICKS, commit=st.booleans())
    def decide(self, pick: int, commit: bool) -> None:
        """The end of a prepared transaction."""
        self._play("decide", pick=pick, commit=commit)

    @rule(line=_LINES, mode=st.sampled_from(MODES))
    def cycle(self, line: int, mode: str) -> None:
        """A whole cycle."""
        self._play("cycle", line=line, mode=mode)

    @rule(line=_LINES, steps=st.integers(1, 4))
    def advance(self, line: int, steps: int) -> None:
        """Some steps of a cycle; other rules happen between them."""
        self._play("advance", line=line, steps=steps)

    @rule(line=_LINES, steps=st.integers(1, 3), mode=st.sampled_from(MODES))
    def advance_slowly(self, line: int, steps: int, mode: str) -> None:
        """The same, also for other modes."""
        self._play("advance", line=line, steps=steps, mode=mode)

    @rule(kind=_RARE, line=_LINES, number=_NUMBERS)
    def disturb(self, kind: str, line: int, number: int) -> None:
        """What happens seldom: a crash, a cut connection, somebody else in the target, an edit of the spec, an administrator."""
        self._play(**rare(kind, line, number))

    @rule(kind=_RARE, line=_LINES, number=_NUMBERS, steps=st.integers(1, 5))
    def disturb_midway(self, kind: str, line: int, number: int, steps: int) -> None:
        """The same between two steps of a cycle that has something to do, and which then goes on."""
        self._play("write", verb="insert", pick=number % 60)
        self._play("advance", line=line, steps=steps)
        self._play(**rare(kind, line, number))
        self._play("advance", line=line, steps=3)

    @rule(commit=st.booleans(), finish=st.booleans())
    def settle(self, commit: bool, finish: bool) -> None:
        """Quiet in the middle of a run."""
        self._play("settle", commit=commit, finish=finish)

    def teardown(self) -> None:
        """Ends every run with quiet, unless it has failed already."""
        if self.world is None:
            return
        try:
            if not self.broken:
                self._play("settle", commit=True, finish=False)
        finally:
            if self.broken:
                self.tally.failed.append(keep(self.world, self.runs))
            self.tally.add(self.world)
            self.world.close()


def judge(servers: Servers, runs: Path, tally: Tally, *, examples: int, steps: int, number: int | None, elastic: bool) -> None:
    """Runs the machine.

    Args:
        servers: to run on.
        runs: the folder that gets failing runs.
        tally: gets the counts.
        examples: worlds.
        steps: actions of one world.
        number: the seed; None = always the same runs.
        elastic: whether worlds may have an index beside the table.

    Raises:
        Exception: what the first failing run ended with; the run is kept, and `smallest` makes it small.
    """
    machine = type("Judge", (Judge,), {"servers": servers, "runs": runs, "tally": tally, "elastic": elastic})
    if number is not None:
        machine = seed(number)(machine)
    try:
        run_state_machine_as_test(machine, settings=_settings(examples, steps, derandomize=number is None))
    except Exception as err:
        err.add_note("\n".join(f"python -m tests.judge replay {path}" for path in tally.failed[-1:]))
        raise


def _settings(examples: int, steps: int, *, derandomize: bool) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=derandomize,
        verbosity=Verbosity.normal,
        # `smallest` makes runs small: hypothesis would try for five minutes.
        phases=(Phase.generate,),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
