"""What every store of states must do. Imports no pytest, for it also runs inside an Airflow task."""

from __future__ import annotations

from collections.abc import Callable

from querymirror.records import CycleSummary, StreamState
from querymirror.state.base import PipelineState, StateStore


def a_state(high: str = "2026-01-01") -> PipelineState:
    """Returns a state with something in every kind of field."""
    return PipelineState(
        fingerprint="f1",
        target_identity={"oid": 17, "name": "analytics.films", "docs": None},
        streams={"main": StreamState(low="2025-12-31", high=high, open=("3/14",), since="2026-01-01T00:00:00+00:00")},
        last=CycleSummary(pipeline="films", run_id="r1", read=3, reasons=("first run: no state", 'quotes " and ö')),
    )


def nothing_is_there_at_first(store: StateStore) -> None:
    """A pipeline that never ran has no state."""
    assert store.read("films") is None


def what_was_written_is_read(store: StateStore) -> None:
    """A state comes back as it was written."""
    store.write("films", a_state())
    assert store.read("films") == a_state()


def the_last_write_counts(store: StateStore) -> None:
    """A write replaces the whole state."""
    store.write("films", a_state("2026-01-01"))
    store.write("films", a_state("2026-02-02"))
    assert store.read("films") == a_state("2026-02-02")


def pipelines_are_apart(store: StateStore) -> None:
    """Writing and deleting one pipeline's state leaves another's alone, also where one id begins with the other."""
    store.write("films", a_state("1"))
    store.write("films2", a_state("2"))
    store.delete("films2")
    assert store.read("films") == a_state("1")
    assert store.read("films2") is None
    store.write("films2", a_state("2"))
    store.delete("films")
    assert store.read("films") is None


def deleted_is_gone(store: StateStore) -> None:
    """Deleting starts over; deleting what is not there is no error."""
    store.write("films", a_state())
    store.delete("films")
    store.delete("films")
    assert store.read("films") is None


def names_are_free(store: StateStore) -> None:
    """Every character that a pipeline's id may hold works."""
    store.write("A.b-c_9", a_state())
    assert store.read("A.b-c_9") == a_state()


CHECKS: tuple[Callable[[StateStore], None], ...] = (
    nothing_is_there_at_first,
    what_was_written_is_read,
    the_last_write_counts,
    pipelines_are_apart,
    deleted_is_gone,
    names_are_free,
)


def clean(store: StateStore) -> None:
    """Removes what the checks leave."""
    for pipeline in ("films", "films2", "A.b-c_9"):
        store.delete(pipeline)
