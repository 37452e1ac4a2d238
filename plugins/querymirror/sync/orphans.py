"""Removes target rows that the query no longer returns, and nothing else.

Deletes come from one complete snapshot of the source's keys: a stream that breaks off raises before anything is deleted. Each candidate
is looked up in the source once more before it goes, and a run that would delete more than a set share stops.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

from querymirror.buckets import Buckets
from querymirror.errors import MassDeleteError
from querymirror.facts import Key, Shape
from querymirror.plan.counting import keys_stayed
from querymirror.records import Detection, Ensured, Extraction, OrphanResult
from querymirror.sources.base import Source
from querymirror.sync.compare import BUCKETS, differing_buckets, same_count
from querymirror.sync.run import Run

SMALL_TARGET = 1_000  # rows up to which max_delete_share does not apply
SAMPLES = 10  # keys named in the result
PAGE = 5_000  # candidates looked up and deleted together
MOST_SEARCHED = BUCKETS // 16  # buckets whose keys are moved without asking by checksums whether it is their keys that differ


def delete_orphans(run: Run, detection: Detection, ensured: Ensured, extraction: Extraction, *, dry: bool = False) -> OrphanResult:
    """Deletes, marks or leaves orphans as `delete_missing` says; `dry` counts what it would delete, whatever the share.

    Raises:
        MassDeleteError: more than `max_delete_share` would go.
    """
    spec, source, target = run.spec, run.source, run.target
    # What was empty holds only what this run read; a row deleted meanwhile moves the counters, and the next cycle looks.
    filled_anew = ensured.empty and extraction.full
    if spec.delete_missing == "off" or run.request.window is not None or filled_anew:
        return OrphanResult()
    begun = time.monotonic()
    needed = detection.check_orphans or extraction.full or extraction.compared
    shape = target.shape(source.describe())  # first of all: an index is found by the form of its rows
    if not needed:
        same, counted = _keys_stayed(run, detection)
        if same:
            return OrphanResult(counted=counted, seconds=time.monotonic() - begun)
    buckets = _differing_keys(run, extraction, shape)
    if not buckets:
        return OrphanResult(checked=True, seconds=time.monotonic() - begun)

    def open_keys(wanted: Sequence[Buckets]) -> AsyncIterator[bytes]:
        return source.stream_keys(shape, wanted)

    with target.orphans(open_keys, buckets, shape, dry=dry) as search:
        if not dry:
            require_share(run, search.total)
        deleted, samples = 0, list[str]()
        for keys in search.pages(PAGE):
            gone = _gone(source, keys)
            deleted += len(gone.keys) if dry else search.delete(gone.keys, gone.version) if gone.keys else 0
            samples += [", ".join(map(str, key)) for key in gone.keys[: SAMPLES - len(samples)]]
    return OrphanResult(checked=True, deleted=deleted, seconds=time.monotonic() - begun, samples=tuple(samples))


def _differing_keys(run: Run, extraction: Extraction, shape: Shape) -> tuple[Buckets, ...]:
    """Returns the buckets that hold all orphans.

    Where this run compared by content they are among those that differed, for an orphan is a difference; what is deleted since then moves the
    counters, and the next cycle looks. So few as a search is cheap in are not asked about again. Keys that a query or columns of their own name are
    no part of that comparison.
    """
    found = tuple(buckets for batch in extraction.batches for buckets in batch.buckets)
    own_keys = run.spec.keys_sql is not None or not {*run.spec.orphan_key} <= {*run.spec.source.primary_key}
    asked = extraction.compared and not extraction.full and not own_keys
    if asked and sum(len(buckets.numbers) for buckets in found) <= MOST_SEARCHED:
        return found
    return differing_buckets(run.source, run.target, shape, content=False)


def _keys_stayed(run: Run, detection: Detection) -> tuple[bool, dict[str, Any] | None]:
    """Returns whether no key can have changed, and the table to remember: as it was before the last count that showed so."""
    if not detection.check_counts:
        return True, detection.counted
    now = run.target.identity() or {}
    if keys_stayed(run.spec, detection, now):
        return True, detection.counted
    return same_count(run.source, run.target), now


def require_share(run: Run, orphans: int) -> None:
    """Refuses to delete more than `max_delete_share` of a target.

    Raises:
        MassDeleteError: with both numbers.
    """
    # So few are no such share of any target that it applies to: no need to count the rows.
    if run.request.allow_mass_delete or orphans <= SMALL_TARGET * run.spec.max_delete_share:
        return
    total = run.target.count()
    if total > SMALL_TARGET and orphans > total * run.spec.max_delete_share:
        raise MassDeleteError(run.spec.id, orphans=orphans, total=total, share=run.spec.max_delete_share)


class _Gone(NamedTuple):
    keys: list[Key]
    version: int


def _gone(source: Source, keys: Sequence[Key]) -> _Gone:
    """Looks candidates up in the source once more; the clock is read first, so whatever comes back later has a later version."""
    version = source.clock()
    there = source.present(keys)
    return _Gone([key for key in keys if key not in there], version)
