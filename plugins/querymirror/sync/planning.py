"""A dry run: the steps of a cycle up to where each would write, and what it would write."""

from __future__ import annotations

from querymirror.errors import MassDeleteError
from querymirror.facts import Shape
from querymirror.plan.sync_plan import PlannedBatch, SyncPlan
from querymirror.records import Batch, BatchResult, Detection, Ensured, Extraction, OrphanResult
from querymirror.sync.detect import detect
from querymirror.sync.extract import extract
from querymirror.sync.orphans import delete_orphans, require_share
from querymirror.sync.run import Run

SAMPLES = 20
NAMED = 100_000  # rows of a batch up to which one that stands in several batches is counted once


def plan(run: Run) -> SyncPlan:
    """Says what a run would do and counts the rows; reads both sides, writes to neither.

    Rows are compared with the target's wherever it fits the query already; otherwise all that would be read counts as written.
    """
    detection = detect(run)
    begun = SyncPlan(pipeline=run.spec.id, mode=run.request.mode, changed=detection.changed, reasons=detection.reasons)
    if not detection.changed:
        return begun
    foreseen = run.target.foresee(run.source.describe())
    ensured = Ensured(empty=foreseen.empty, refill=foreseen.refill, physical=foreseen.physical, changes=foreseen.changes)
    extraction = extract(run, detection, ensured)
    comparable = foreseen.exists and not foreseen.empty and not foreseen.refill
    counted = _count(run, extraction, comparable=comparable)
    upserted, exact, differing = _together(extraction, counted) if comparable else (run.source.count(), foreseen.empty and extraction.full, [])
    orphans, refused = _orphans(run, detection, ensured, extraction) if comparable else (OrphanResult(), "")
    # Rows that are there stay while a table is adapted; a new index begins empty.
    unknown = foreseen.refill and foreseen.exists and not foreseen.empty
    return begun.model_copy(
        update={
            "full": extraction.full,
            "compared": extraction.compared,
            "physical": foreseen.physical,
            "changes": foreseen.changes,
            "statements": foreseen.statements,
            "writes": foreseen.writes,
            "batches": tuple(_planned(run, b, counted.get(b.number)) for b in extraction.batches),
            "upserted": upserted,
            "deleted": None if unknown else orphans.deleted,
            "exact": exact,
            "samples": (*differing[:SAMPLES], *[f"orphan {key}" for key in orphans.samples]),
            "refused": refused,
        }
    )


def _together(extraction: Extraction, counted: dict[int, BatchResult]) -> tuple[int, bool, list[str]]:
    """Returns how many rows all batches would write, whether that is exact, and their names; windows of several streams can hold the same row."""
    total, names = sum(r.upserted for r in counted.values()), [s for r in counted.values() for s in r.samples]
    differing = list(dict.fromkeys(names))
    if len({b.stream for b in extraction.batches}) <= 1:
        return total, True, differing
    all_named = len(names) == total
    return len(differing) if all_named else total, all_named, differing


def _count(run: Run, extraction: Extraction, *, comparable: bool) -> dict[int, BatchResult]:
    if not comparable:
        return {}
    shape = run.target.shape(run.source.describe())
    return {batch.number: _compared(run, batch, shape) for batch in extraction.batches}


def _compared(run: Run, batch: Batch, shape: Shape) -> BatchResult:
    return run.target.compare(lambda: run.source.stream(batch, shape), batch, shape, names=NAMED)


def _planned(run: Run, batch: Batch, counted: BatchResult | None) -> PlannedBatch:
    return PlannedBatch(
        kind=batch.kind,
        stream=batch.stream,
        window=batch.window,
        buckets=sum(len(b.numbers) for b in batch.buckets),
        sql=run.source.statement(batch),
        read=counted.read if counted else None,
        upserted=counted.upserted if counted else None,
    )


def _orphans(run: Run, detection: Detection, ensured: Ensured, extraction: Extraction) -> tuple[OrphanResult, str]:
    found = delete_orphans(run, detection, ensured, extraction, dry=True)
    try:
        require_share(run, found.deleted)
    except MassDeleteError as err:
        return found, str(err)
    return found, ""
