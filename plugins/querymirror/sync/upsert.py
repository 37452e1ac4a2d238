"""Moves one batch from source to target."""

from __future__ import annotations

from querymirror.records import Batch, BatchResult, RunRequest
from querymirror.sources.base import Source
from querymirror.targets.base import Target


def upsert(source: Source, target: Target, batch: Batch, request: RunRequest) -> BatchResult:
    """Streams a batch; the source is read only once the target is ready to take it. Rows that a transform failed on are kept aside."""
    shape = target.shape(source.describe())
    result = target.upsert(lambda: source.stream(batch, shape), batch, request, shape, clock=source.clock)
    refused = [letter.model_copy(update={"run_id": request.run_id}) for letter in source.refused()]
    if not refused:
        return result
    target.keep_rejects(refused)
    return result.model_copy(update={"read": result.read + len(refused), "rejected": result.rejected + len(refused)})
