"""What a cycle does, decided from counters alone."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from querymirror.facts import Origin, Probe, QueryFacts, TableProbe
from querymirror.plan.movement import Seen, comparison_due, decide, unmoved
from querymirror.records import RunRequest, StreamState
from querymirror.spec.pipeline import PipelineSpec
from querymirror.state.base import PipelineState

FILM, LINK = 1, 2
IDENTITY = {"id": 77, "filenode": 5, "inserted": 10}


def spec(**source: Any) -> PipelineSpec:
    """Returns a pipeline with a cursor."""
    fields = {"conn_id": "s", "query": {"text": "SELECT 1"}, "primary_key": ["id"], "cursor_column": "updated_at", **source}
    return PipelineSpec.model_validate({"id": "p", "source": fields, "target": {"type": "postgres", "conn_id": "t", "table": "a.b"}})


def table(oid: int = FILM, **counters: Any) -> TableProbe:
    """Returns a table's counters."""
    values = {"name": f"t{oid}", "relkind": "r", "inserted": 0, "updated": 0, "deleted": 0, "filenode": 9, "shape": "x", **counters}
    return TableProbe(oid=oid, **values)


def state(of: PipelineSpec, *tables: TableProbe) -> PipelineState:
    """Returns what was committed when the tables' counters stood like this."""
    origin = Origin(oid=FILM, schema_name="public", table="film", column="updated_at", type="timestamp with time zone")
    return PipelineState(
        fingerprint=of.fingerprint(),
        target_identity=IDENTITY,
        probe=Probe(tables=tables or (table(),), epoch="e", cursors={"main": "2026-01-01"}),
        streams={"main": StreamState(low="2026-01-01", origin=origin)},
    )


def seen(*tables: TableProbe, **changes: Any) -> Seen:
    """Returns a look at the source and the target."""
    probe = Probe(tables=tables or (table(),), epoch=changes.pop("epoch", "e"), cursors={"main": "2026-01-01"}, blind=changes.pop("blind", ""))
    facts = QueryFacts(scans={t.oid: 1 for t in tables or (table(),)}, **changes.pop("facts", {}))
    given = {"key_tables": frozenset({FILM}), "target_identity": IDENTITY, "seconds_since_compare": 1.0, **changes}
    return Seen(probe=probe, facts=facts, **given)


def run(**request: Any) -> RunRequest:
    """Returns a request."""
    return RunRequest(run_id="r", **request)


def test_nothing_moved_is_quiet() -> None:
    """Equal counters, cursors and target: nothing to do, and no reason."""
    found = decide(spec(), state(spec()), run(), seen())
    assert (found.changed, found.reasons) == (False, ())


@pytest.mark.parametrize(
    ("given", "request_", "look", "reason"),
    [
        pytest.param(False, {}, {}, "first run: no state", id="no state"),
        pytest.param(True, {"mode": "full_refresh"}, {}, "full refresh asked for", id="asked"),
        pytest.param(True, {}, {"target_identity": None}, "the target is gone", id="target gone"),
        pytest.param(True, {}, {"target_identity": {**IDENTITY, "id": 78}}, "the target is another one than before", id="another target"),
    ],
)
def test_reads_everything(given: bool, request_: dict[str, Any], look: dict[str, Any], reason: str) -> None:
    """The whole query is read where nothing is known or the target is not the one that was filled."""
    found = decide(spec(), state(spec()) if given else None, run(**request_), seen(**look))
    assert (found.full, found.reasons) == (True, (reason,))


def test_new_query_reads_everything() -> None:
    """A state that another query filled is of no use."""
    found = decide(spec(query={"text": "SELECT 2"}), state(spec()), run(), seen())
    assert (found.full, found.reasons) == (True, ("the spec changed",))


@pytest.mark.parametrize(
    ("now", "compare", "orphans"),
    [
        pytest.param(table(inserted=3), False, False, id="inserts are the cursor's"),
        pytest.param(table(updated=3), False, False, id="updates are the cursor's"),
        pytest.param(table(deleted=3), False, True, id="deletes need the keys"),
        pytest.param(table(filenode=10), True, True, id="truncate or rewrite"),
        pytest.param(table(shape="y"), True, True, id="altered"),
    ],
)
def test_main_table_moved(now: TableProbe, compare: bool, orphans: bool) -> None:
    """Movement of the cursor's own table is read by its window; keys are compared when rows may have left."""
    found = decide(spec(), state(spec()), run(), seen(now))
    assert (found.changed, found.compare, found.check_orphans) == (True, compare, orphans)


def test_updates_of_a_filtered_query_may_take_rows_away() -> None:
    """An updated row can leave the WHERE."""
    found = decide(spec(), state(spec()), run(), seen(table(updated=1), facts={"filtered": True}))
    assert (found.compare, found.check_orphans) == (False, True)


@pytest.mark.parametrize(
    ("look", "why"),
    [
        pytest.param({"facts": {"reshuffles": True}}, "reshuffles", id="rows hang together"),
        pytest.param({"key_tables": frozenset({LINK})}, "key", id="the key is another table's"),
        pytest.param({"epoch": "other"}, "epoch", id="statistics reset"),
        pytest.param({"facts": {"restless": "now"}}, "restless", id="now() in the query"),
        pytest.param({"seconds_since_compare": 1e6}, "reconcile", id="reconcile_every"),
        pytest.param({"verify_due": True}, "verify", id="verify_schedule"),
        pytest.param({"target_identity": {**IDENTITY, "inserted": 11}}, "target", id="somebody wrote the target"),
    ],
)
def test_what_nothing_explains_is_compared(look: dict[str, Any], why: str) -> None:
    """Whatever the cursor can't vouch for makes this very cycle compare by content."""
    found = decide(spec(), state(spec()), run(), seen(table(inserted=1), **look))
    assert (found.compare, found.check_orphans) == (True, True), why


def test_comparisons_of_many_pipelines_are_spread() -> None:
    """Pipelines that were compared at the same moment are due at different ones, all within the last quarter of `reconcile_every`."""
    at = "2026-11-21T12:00:00+00:00"
    due = sorted(comparison_due(spec().model_copy(update={"id": f"p{n}"}), at) for n in range(1000))
    assert (2700 <= due[0] < 2710, 3590 < due[-1] <= 3600) == (True, True)
    assert max(later - earlier for earlier, later in itertools.pairwise(due)) < 20
    assert comparison_due(spec(), at) != comparison_due(spec(), "2026-11-21T12:59:00+00:00")


def test_other_table_moved() -> None:
    """A joined table that no `changes` names is compared by content."""
    found = decide(spec(), state(spec(), table(), table(LINK)), run(), seen(table(), table(LINK, deleted=1)))
    assert found.compare
    assert found.reasons == ("t2: 0 inserted, 0 updated, 1 deleted",)


def test_partitions_move_as_their_table() -> None:
    """The cursor of a partitioned table covers its partitions."""
    origin = Origin(oid=50, schema_name="public", table="film", column="updated_at", type="timestamp with time zone", parts=(FILM,))
    before = state(spec()).model_copy(update={"streams": {"main": StreamState(low="2026-01-01", origin=origin)}})
    found = decide(spec(), before, run(), seen(table(inserted=3), key_tables=frozenset({50})))
    assert (found.changed, found.compare) == (True, False)


def test_blind_source() -> None:
    """Without counters a single-table cursor reads its window and compares keys; any other query is compared."""
    simple = decide(spec(), state(spec()), run(), seen(blind="a replica"))
    joined = decide(spec(), state(spec()), run(), seen(table(), table(LINK), blind="a replica"))
    assert (simple.changed, simple.compare, simple.check_orphans) == (True, False, True)
    assert joined.compare


def test_ended_transaction_runs_the_cycle() -> None:
    """What a transaction that held the bound back has written may be counted later than it can be read."""
    assert decide(spec(), state(spec()), run(), seen(transactions_ended=True)).changed


@pytest.mark.parametrize(
    ("fields", "look", "asked"),
    [
        pytest.param({}, {}, False, id="fills columns"),
        pytest.param({}, {"facts": {"filling": frozenset[int]()}}, True, id="decides"),
        pytest.param({}, {"key_tables": frozenset({LINK})}, True, id="the key is its own"),
        pytest.param({}, {"key_tables": frozenset({FILM, 0})}, True, id="part of the key is an expression"),
        pytest.param({}, {"key_tables": frozenset({9})}, True, id="the key comes from a view or a partitioned table"),
        pytest.param({"keys_sql": {"text": "SELECT 1"}}, {}, True, id="another query names the keys"),
        pytest.param({"transform": "m:f"}, {}, True, id="a transform may drop rows"),
    ],
)
def test_change_of_a_table_that_only_fills_columns(fields: dict[str, Any], look: dict[str, Any], asked: bool) -> None:
    """Keys are asked for after a change unless its table provably decides no row."""
    of = spec().model_copy(update=fields)
    before = state(of, table(), table(LINK))
    origin = Origin(oid=LINK, schema_name="public", table="link", column="updated_at", type="timestamp with time zone")
    before = before.model_copy(update={"streams": {**before.streams, "link": StreamState(low="2026-01-01", origin=origin)}})
    found = decide(of, before, run(), seen(table(), table(LINK, updated=1), **{"facts": {"filling": frozenset({LINK})}, **look}))
    assert (found.compare, found.check_orphans) == (False, asked)


@pytest.mark.parametrize(
    ("look", "cursor", "stream", "still"),
    [
        pytest.param({}, "2026-01-01", {}, {"main"}, id="nobody wrote"),
        pytest.param({"inserted": 1}, "2026-01-01", {}, set(), id="counted"),
        pytest.param({}, "2026-01-02", {}, set(), id="the cursor moved before the counters did"),
        pytest.param({}, "2026-01-01", {"open": ("3/4",)}, set(), id="a transaction that was open may have written below the high"),
        pytest.param({}, "2026-01-01", {"low": None}, set(), id="no bound yet"),
        pytest.param({}, "2026-01-01", {"origin": None}, set(), id="no table behind the cursor"),
    ],
)
def test_stream_that_needs_no_reading(look: dict[str, Any], cursor: str, stream: dict[str, Any], still: set[str]) -> None:
    """A stream is left out only where counters and cursor both stand and nothing holds its bound back."""
    before = state(spec())
    before = before.model_copy(update={"streams": {"main": before.streams["main"].model_copy(update=stream)}})
    assert unmoved(before, seen(table(**look)).probe, {"main": cursor}) == still


@pytest.mark.parametrize("changes", [{"blind": "a replica"}, {"epoch": "later"}])
def test_every_stream_is_read_without_counters(changes: dict[str, Any]) -> None:
    """Counters that say nothing, or that started over, leave no stream out."""
    assert unmoved(state(spec()), seen(**changes).probe, {"main": "2026-01-01"}) == set()
