"""What a watcher knows and when it asks for a cycle; and durations as people write them."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from pydantic import ValidationError

from querymirror.facts import Probe, TableProbe
from querymirror.spec.defaults import PROBE
from querymirror.spec.pipeline import PipelineSpec
from querymirror.state.base import PipelineState
from querymirror.triggers.watch_state import MOST_PATIENCE, PATIENCE, REFRESH, Watch

pytestmark = pytest.mark.unit

FILMS = TableProbe(oid=1, name="content.film", relkind="r", inserted=5, updated=0, deleted=0, filenode=7, shape="s")
MORE_FILMS = FILMS.model_copy(update={"inserted": 6})
FOREIGN = FILMS.model_copy(update={"oid": 2, "name": "content.far", "relkind": "f"})


def state(*tables: TableProbe, fingerprint: str = "spec") -> PipelineState:
    """Returns a state that was committed with these counters."""
    return PipelineState(fingerprint=fingerprint, target_identity={}, probe=Probe(tables=tables))


def watching(committed: PipelineState | None, now: float = 0.0) -> Watch:
    """Returns a watch that has read a state."""
    watch = Watch("films", fingerprint="spec", seconds=2)
    watch.take(committed, now)
    return watch


def look(watch: Watch, *tables: TableProbe) -> list[str]:
    """Returns what moved, seen by a look at all tables of the watch."""
    return watch.moved({table.oid: table for table in tables}, watch.oids)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [pytest.param("2s", 2.0, id="seconds"), pytest.param("1.5m", 90.0, id="minutes"), pytest.param("1h", 3600.0, id="hours"), (5, 5.0), (None, None)],
)
def test_a_duration_is_text_or_seconds(written: object, seconds: float | None) -> None:
    """`watch` takes a number with its unit, or bare seconds."""
    assert PipelineSpec.model_validate_json(json.dumps(PROBE | {"watch": written}), strict=True).watch == seconds


@pytest.mark.parametrize("written", ["2", "2 s", "500ms", "-2s", "", True, [2], "1e1s", "0s", 0.9, "61m"])
def test_what_is_no_duration_is_refused(written: object) -> None:
    """Anything else is refused, also what would mean less than a second or more than an hour."""
    with pytest.raises(ValidationError, match=r"^1 validation error for PipelineSpec\nwatch\n"):
        PipelineSpec.model_validate_json(json.dumps(PROBE | {"watch": written}), strict=True)


def test_what_a_commit_has_carried_asks_for_nothing() -> None:
    """Counters equal to those of the last commit are quiet; others are named."""
    watch = watching(state(FILMS))
    assert look(watch, FILMS) == []
    assert look(watch, MORE_FILMS) == ["content.film"]
    watch.take(state(MORE_FILMS), 1)
    assert look(watch, MORE_FILMS) == []


def test_a_table_that_is_gone_has_moved() -> None:
    """A dropped table has no counters any more, which is a movement."""
    assert look(watching(state(FILMS))) == ["content.film"]


def test_without_a_state_of_this_spec_a_cycle_is_asked_for() -> None:
    """A pipeline that was never filled, or whose spec is another one now, needs a cycle whatever the counters say."""
    for committed in (None, state(FILMS, fingerprint="another")):
        assert look(watching(committed), FILMS) == ["nothing was committed by this spec yet"]


def test_a_watch_that_forgets_starts_over() -> None:
    """Where the spec is gone nothing is looked at; once it is back the state is read before anything is said."""
    watch = watching(state(FILMS), now=0)
    watch.forget()
    assert not watch.oids
    assert watch.wants_state(2)
    watch.take(state(FILMS), 2)
    assert look(watch, FILMS) == []


def test_foreign_tables_are_told_and_not_looked_at() -> None:
    """Foreign tables have no counters; the others are watched all the same."""
    watch = watching(state(FILMS, FOREIGN))
    assert watch.uncounted == ("content.far",)
    assert set(watch.oids) == {1}


def test_one_event_is_sent_until_a_commit_or_until_patience_ends() -> None:
    """While the cycle is on its way no second event is sent; a pipeline that fails is asked again, ever more rarely."""
    watch = watching(state(FILMS))
    sent = []
    for now in range(0, 2200, 2):
        watch.take(state(FILMS), now)
        if look(watch, MORE_FILMS) and watch.asks(now):
            sent.append(now)
    gaps = [after - before for before, after in pairwise(sent)]
    assert gaps == [PATIENCE, 2 * PATIENCE, 4 * PATIENCE, 8 * PATIENCE, MOST_PATIENCE, MOST_PATIENCE]
    watch.take(state(MORE_FILMS), 3000)
    watch.take(state(MORE_FILMS), 3002)
    assert look(watch, FILMS)
    assert watch.asks(3002), "a commit ends the wait"


def test_a_state_that_could_not_be_read_is_not_fresh() -> None:
    """Where the state could not be read for this look, nothing is told: the schedule may have carried it meanwhile."""
    watch = watching(state(FILMS), now=10)
    assert watch.is_fresh(10)
    assert not watch.is_fresh(12)


def test_states_are_read_when_something_moves_and_seldom_else() -> None:
    """A quiet pipeline reads its state every few minutes, one that moves at once, one that waits for a long cycle ever more rarely."""
    watch = watching(state(FILMS), now=0)
    assert not watch.wants_state(2)
    assert watch.wants_state(REFRESH)
    assert watch.wants_state(2, moving=True)
    watch.take(state(FILMS), 2)
    assert watch.asks(2)
    assert watch.wants_state(4, moving=True)
    watch.take(state(FILMS), 42)
    assert next(now for now in range(43, 60) if watch.wants_state(now, moving=True)) == 47


def test_watchers_with_the_same_interval_are_due_together() -> None:
    """Looks fall on a grid, so that one query serves all; those of a longer interval fall on it too."""
    fast, late, slow = (Watch("x", fingerprint="", seconds=seconds) for seconds in (2, 2, 10))
    fast.looked(100.3)
    late.looked(101.9)
    slow.looked(103.0)
    assert (fast.due, late.due, slow.due) == (102, 102, 110)
