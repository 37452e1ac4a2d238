"""What one watcher knows of its pipeline, and when it asks for a cycle; no I/O, so that it can be tested by the clock alone."""

from __future__ import annotations

from collections.abc import Mapping

from querymirror.facts import TableProbe
from querymirror.state.base import PipelineState

APPLICATION_NAME = "querymirror watch"
"""Of the sessions in which watchers look at sources."""
REFRESH = 300
"""Seconds after which a state is read again though nothing moved: a redefined view may have brought other tables."""
PATIENCE = 60
"""Seconds that an event has to become a commit before another one is sent; doubled each time, for a pipeline that fails stays one that fails."""
MOST_PATIENCE = 600


class Watch:
    """One pipeline that watches its source. Times are seconds of one monotonic clock.

    It compares the counters with those of the pipeline's last commit, not with its own last look: what a cycle has carried already asks for no other one,
    and what moved while no watcher ran is seen at the first look.

    Args:
        pipeline: its id.
        fingerprint: of its spec; a state of another one counts as none.
        seconds: between two looks.
    """

    def __init__(self, pipeline: str, *, fingerprint: str, seconds: float) -> None:
        self.pipeline, self.fingerprint, self.seconds = pipeline, fingerprint, seconds
        self.due = 0.0
        self.uncounted: tuple[str, ...] = ()
        self._committed: dict[int, TableProbe] = {}
        self._known = False
        self._read_at: float | None = None
        self._told_at: float | None = None
        self._patience: float = PATIENCE

    @property
    def oids(self) -> frozenset[int]:
        """The tables it looks at: those of the last commit."""
        return frozenset(self._committed)

    def looked(self, now: float) -> None:
        """Sets the next look; on a grid, so that watchers with the same interval are due together."""
        self.due = (now // self.seconds + 1) * self.seconds

    def wants_state(self, now: float, *, moving: bool = False) -> bool:
        """Whether the state must be read before anything is decided.

        Args:
            now: the time of this look.
            moving: whether the counters differ from those of the state that is known.
        """
        if self._read_at is None or not moving:
            return self._read_at is None or now - self._read_at >= REFRESH
        # while a cycle is on its way: the longer it takes, the rarer
        waited = now - self._told_at if self._told_at is not None else 0.0
        return self._read_at < now and now - self._read_at >= waited / 10

    def take(self, state: PipelineState | None, now: float) -> None:
        """Takes over what was committed last; a commit ends the wait for one."""
        known = state is not None and state.fingerprint == self.fingerprint
        tables = state.probe.tables if state is not None and known else ()
        committed = {table.oid: table for table in tables if table.relkind != "f"}
        if (known, committed) != (self._known, self._committed):
            self._told_at, self._patience = None, PATIENCE
        self.uncounted = tuple(table.name for table in tables if table.relkind == "f")
        self._known, self._committed, self._read_at = known, committed, now

    def is_fresh(self, since: float) -> bool:
        """Whether the state was read since then; only then what differs from it may be told."""
        return self._read_at is not None and self._read_at >= since

    def forget(self) -> None:
        """Knows nothing any more and looks at nothing, until a state is read again: its spec is gone."""
        self._known, self._committed, self._read_at, self._told_at, self._patience = False, {}, None, None, PATIENCE

    def moved(self, seen: Mapping[int, TableProbe], asked: frozenset[int]) -> list[str]:
        """Returns in words what moved since the last commit; empty = nothing.

        Args:
            seen: counters now, of those tables that are there.
            asked: the tables that were asked for; one that the last commit brought is left to the next look.
        """
        if not self._known:
            return ["nothing was committed by this spec yet"]
        return [table.name for oid, table in self._committed.items() if oid in asked and seen.get(oid) != table]

    def asks(self, now: float) -> bool:
        """Whether to send an event for what moved; counts as sent."""
        if self._told_at is not None:
            if now - self._told_at < self._patience:
                return False
            self._patience = min(2 * self._patience, MOST_PATIENCE)
        self._told_at = now
        return True
