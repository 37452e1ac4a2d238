"""Moves one batch from source to target."""

from __future__ import annotations

from querymirror.records import Batch, BatchResult, RunRequest
from querymirror.sources.base import Source
from querymirror.targets.base import Target


def upsert(source: Source, target: Target, batch: Batch, request: RunRequest) -> BatchResult:
    """Streams a batch; the source is read only once the target is ready to take it."""
    shape = target.shape(source.describe())
    return target.upsert(lambda: source.stream(batch, shape), batch, request, shape, clock=source.clock)
