"""Bounds move only past what is certainly loaded."""

from __future__ import annotations

from querymirror.facts import Horizon
from querymirror.plan.window import advance
from querymirror.records import StreamState


def horizon(high: str | None, *open_: str) -> Horizon:
    """Returns a horizon with one stream."""
    return Horizon(highs={"main": high}, open=open_, at="2026-01-01T00:00:00")


def test_moves_at_once_when_nothing_is_open() -> None:
    """With no open transaction the highest cursor is the next low bound."""
    after = advance(StreamState(low="5"), "main", horizon("9"), left_before=(), open_now=())
    assert (after.low, after.high, after.open) == ("9", None, ())


def test_waits_for_open_transactions() -> None:
    """An open transaction keeps the low bound; the high waits with its name."""
    after = advance(StreamState(low="5"), "main", horizon("9", "3/7"), left_before=(), open_now=("3/7",))
    assert (after.low, after.high, after.open) == ("5", "9", ("3/7",))


def test_stays_while_they_are_open() -> None:
    """A later high does not replace the one that waits, else a busy source would never move on."""
    before = StreamState(low="5", high="9", open=("3/7", "4/1"))
    after = advance(before, "main", horizon("12", "3/7", "8/8"), left_before=("3/7",), open_now=("3/7", "8/8"))
    assert (after.low, after.high, after.open) == ("5", "9", ("3/7",))


def test_moves_on_when_they_have_ended() -> None:
    """The waiting high becomes the low bound, and the new high waits for the new transactions."""
    after = advance(StreamState(low="5", high="9", open=("3/7",)), "main", horizon("12", "8/8"), left_before=(), open_now=("8/8",))
    assert (after.low, after.high, after.open) == ("9", "12", ("8/8",))


def test_first_run_with_open_transactions_has_no_bound() -> None:
    """Nothing is known to be complete below any value, so the next run compares everything."""
    after = advance(StreamState(), "main", horizon("9", "3/7"), left_before=(), open_now=("3/7",))
    assert (after.low, after.high) == (None, "9")


def test_empty_table_keeps_the_bound() -> None:
    """No row, no high: the bound stays where it was."""
    before = StreamState(low="5")
    assert advance(before, "main", horizon(None), left_before=(), open_now=()) == before
