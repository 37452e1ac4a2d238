"""Decides from counters what a cycle must do: nothing, windows, an orphan check, a comparison, or everything.

The rule: what the cursor and the `changes` explain is read through their windows; whatever else moved makes this very cycle compare
source and target by content. So a cycle ends equal with any spec; cursors and `changes` only make it cheap.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from querymirror.facts import Probe, QueryFacts, TableProbe
from querymirror.records import Detection, RunRequest, StreamState
from querymirror.spec.pipeline import PipelineSpec
from querymirror.state.base import PipelineState


@dataclass
class _Findings:
    reasons: list[str] = field(default_factory=list)
    compare: bool = False
    check_orphans: bool = False
    check_counts: bool = False


@dataclass(frozen=True)
class Seen:
    """What a quiet check reads.

    Attributes:
        probe: counters and cursors now.
        facts: what the query's plan tells.
        key_tables: tables that the primary key comes from; 0 = an expression. Looked at where counters moved only.
        target_identity: the target now; None = there is none.
        seconds_since_compare: since source and target were last compared in full.
        verify_due: whether `verify_schedule` named a time since then.
        transactions_ended: whether one of those that hold a bound of the state back has ended.
    """

    probe: Probe
    facts: QueryFacts
    key_tables: frozenset[int]
    target_identity: dict[str, Any] | None
    seconds_since_compare: float
    verify_due: bool = False
    transactions_ended: bool = False


def decide(spec: PipelineSpec, state: PipelineState | None, request: RunRequest, seen: Seen) -> Detection:
    """Returns what this cycle must do, with the reasons in words."""
    full = _why_full(spec, state, request, seen.target_identity)
    if full or state is None:
        return Detection(changed=True, reasons=(full,), full=True, check_orphans=True, probe=seen.probe, target_identity=seen.target_identity)
    found = _Findings()
    _look_at_spec(spec, state, found)
    _look_at_request(spec, state, request, seen, found)
    _look_at_target(state, seen, found)
    _look_at_source(spec, state, seen, found)
    return Detection(
        changed=bool(found.reasons),
        reasons=tuple(found.reasons),
        compare=found.compare,
        check_orphans=found.check_orphans or found.compare,
        check_counts=found.check_counts,
        probe=seen.probe,
        target_identity=seen.target_identity,
    )


def _why_full(spec: PipelineSpec, state: PipelineState | None, request: RunRequest, identity: dict[str, Any] | None) -> str:
    if request.mode == "full_refresh":
        return "full refresh asked for"
    if state is None:
        return "first run: no state"
    if identity is None:
        return "the target is gone"
    if state.fingerprint != spec.fingerprint():
        return "the spec changed"
    if state.target_identity.get("id") != identity.get("id"):
        return "the target is another one than before"
    return ""


def _look_at_spec(spec: PipelineSpec, state: PipelineState, found: _Findings) -> None:
    if state.delete_missing not in {"", spec.delete_missing}:
        found.reasons.append(f"delete_missing was {state.delete_missing} and is {spec.delete_missing} now")
        found.compare = True


def _look_at_request(spec: PipelineSpec, state: PipelineState, request: RunRequest, seen: Seen, found: _Findings) -> None:
    if request.mode == "verify" or seen.verify_due:
        found.reasons.append("verify asked for" if request.mode == "verify" else f"verify is due ({spec.verify_schedule})")
        found.compare = True
    elif seen.seconds_since_compare >= comparison_due(spec, state.compared_at):
        found.reasons.append(f"no full comparison for {seen.seconds_since_compare:.0f} s")
        found.compare = True


def comparison_due(spec: PipelineSpec, compared_at: str) -> float:
    """Returns the seconds after a comparison at which the next one is due: three quarters of `reconcile_every` to all of it.

    Drawn from the pipeline's name and the last comparison, for pipelines that were loaded together must not all compare together.
    """
    drawn = zlib.crc32(f"{spec.id} {compared_at}".encode()) / 2**32
    return spec.reconcile_every * (1 - drawn / 4)


def _look_at_target(state: PipelineState, seen: Seen, found: _Findings) -> None:
    before, now = state.target_identity, seen.target_identity or {}
    moved = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if moved:
        found.reasons.append(f"somebody else changed the target ({', '.join(moved)})")
        found.compare = True


def _look_at_source(spec: PipelineSpec, state: PipelineState, seen: Seen, found: _Findings) -> None:
    if seen.facts.restless:
        found.reasons.append(f"the query calls {seen.facts.restless}: its result can move while no table does")
        found.compare = True
    if seen.transactions_ended:
        # What they wrote may lie below the highest cursor, and their session may not have counted it yet.
        found.reasons.append("transactions that were open during an earlier cycle have ended")
    if seen.probe.blind:
        _cannot_tell(spec, seen, found)
        return
    if state.probe.epoch != seen.probe.epoch or {t.oid for t in state.probe.tables} != {t.oid for t in seen.probe.tables}:
        found.reasons.append("the source's counters started over, a view or function was redefined, or the query reads other tables than before")
        found.compare = True
        return
    for table in seen.probe.tables:
        _look_at_table(spec, state, table, seen, found)
    for name, high in seen.probe.cursors.items():
        if high is not None and high != state.probe.cursors.get(name):
            found.reasons.append(f"cursor of {name} moved to {high}")


def _cannot_tell(spec: PipelineSpec, seen: Seen, found: _Findings) -> None:
    """Without counters every cycle runs; where a cursor covers a whole single-table query, windows and keys are enough."""
    found.reasons.append(f"no quiet check: {seen.probe.blind}")
    found.check_orphans = True
    found.compare = spec.source.cursor_column is None or len(seen.facts.scans) != 1 or seen.facts.reshuffles


def _look_at_table(spec: PipelineSpec, state: PipelineState, now: TableProbe, seen: Seen, found: _Findings) -> None:
    before = next(t for t in state.probe.tables if t.oid == now.oid)
    if before == now:
        return
    written = (now.inserted - before.inserted) + (now.updated - before.updated)
    deleted = now.deleted - before.deleted
    found.reasons.append(f"{now.name}: {now.inserted - before.inserted} inserted, {now.updated - before.updated} updated, {deleted} deleted")
    if (before.filenode, before.shape) != (now.filenode, now.shape) or written < 0 or deleted < 0:
        found.reasons.append(f"{now.name} was truncated, rewritten or altered")
        found.compare = True
        return
    rows_stand_alone = not seen.facts.reshuffles and seen.facts.scans.get(now.oid) == 1
    covering = [name for name, stream in state.streams.items() if stream.origin is not None and now.oid in (stream.origin.oid, *stream.origin.parts)]
    if not covering or not rows_stand_alone:
        found.compare = True
    elif "main" not in covering or not _key_comes_with_cursor(state, seen):
        # A change's window shows the rows that were written; one that was deleted takes its part of a document along unseen.
        # An update may do the same where the changed row itself names the key: a link that moves to another document.
        moved = now.updated > before.updated and any(_names_key(state.streams[name]) for name in covering)
        found.compare = found.compare or deleted > 0 or moved or "main" in covering
        found.check_orphans = found.check_orphans or not _only_fills(spec, now, seen)
    else:
        found.check_orphans = found.check_orphans or deleted > 0 or (seen.facts.filtered and now.updated > before.updated)
        # An update may have changed a key. Asked again when only inserts are counted: a row that came between the two counts of an
        # earlier cycle may have hidden it.
        found.check_counts = found.check_counts or now.updated > 0


def unmoved(state: PipelineState, probe: Probe, highs: Mapping[str, str | None]) -> set[str]:
    """Returns the streams that need no reading: nobody wrote their tables since the state was committed, by the signs of a quiet cycle.

    Otherwise each cycle would read the last `lag` seconds of every stream again, and where a bulk load gave all rows one cursor value, everything.

    Args:
        state: as committed; such a stream keeps its part of it, so that what is counted late is still read from the same bound.
        probe: this cycle's.
        highs: highest cursors, read after the probe.
    """
    if probe.blind or probe.epoch != state.probe.epoch:
        return set()
    same = {table.oid for table in probe.tables if table in state.probe.tables}
    still = set()
    for name, stream in state.streams.items():
        tables = {*stream.origin.parts} or {stream.origin.oid} if stream.origin else set()
        if tables and tables <= same and not stream.open and stream.low is not None and highs.get(name) == state.probe.cursors.get(name):
            still.add(name)
    return still


def _only_fills(spec: PipelineSpec, table: TableProbe, seen: Seen) -> bool:
    """Returns whether nothing written into a table can make a row enter or leave: by the query's plan, and by nothing else that has a say.

    A key that comes from such a table, from an expression, or from where the plan does not show it (a view, partitions) proves nothing.
    """
    if spec.keys_sql is not None or spec.transform is not None:
        return False
    deciding = seen.facts.scans.keys() - seen.facts.filling
    return table.oid in seen.facts.filling and bool(seen.key_tables) and seen.key_tables <= deciding


def _names_key(stream: StreamState) -> bool:
    return stream.origin is not None and stream.origin.names_key


def _key_comes_with_cursor(state: PipelineState, seen: Seen) -> bool:
    main = state.streams.get("main")
    return main is not None and main.origin is not None and seen.key_tables == {main.origin.oid}
