"""Moves the bounds of a stream: never past what is certainly loaded."""

from __future__ import annotations

from querymirror.facts import Horizon
from querymirror.records import StreamState


def advance(before: StreamState, name: str, horizon: Horizon, *, left_before: tuple[str, ...], open_now: tuple[str, ...]) -> StreamState:
    """Returns the stream's state once a run that read everything above `before.low` is committed.

    A row that the run did not see was written by a transaction that had not ended when the run read. If it began after
    `horizon.open` was read, its cursor lies above `horizon.high`; if before, it is in `open`. So a high becomes the low bound
    once every transaction that was open when it was seen has ended *before* a reading from the older bound.
    Method and its limits: docs/guarantees.md.

    Args:
        before: the committed state.
        name: of the stream.
        horizon: this run's; read before its batches.
        left_before: those of `before.open` (or what was prepared of them) that had not ended when this run began to read.
        open_now: those of `horizon.open` that had not ended when this run began to read.
    """
    high = horizon.highs.get(name)
    if high is None:
        if before.high is None or left_before:
            return before.model_copy(update={"open": left_before})
        # The rows that had cursors are gone; what was open then must not be asked for at every look.
        return before.model_copy(update={"low": before.high, "high": None, "open": (), "since": ""})
    if not open_now:
        return before.model_copy(update={"low": high, "high": None, "open": (), "since": ""})
    if before.high is not None and left_before:
        return before.model_copy(update={"open": left_before})
    low = before.low if before.high is None else before.high
    return before.model_copy(update={"low": low, "high": high, "open": open_now, "since": horizon.at})
