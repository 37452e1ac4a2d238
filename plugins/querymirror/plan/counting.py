"""Decides whether both sides must be counted to find a key that changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from querymirror.records import Detection
from querymirror.spec.pipeline import PipelineSpec


def keys_stayed(spec: PipelineSpec, detection: Detection, now: Mapping[str, Any]) -> bool:
    """Returns whether no key can have changed in a way that a count would show: nothing was inserted into the table since both sides had as many rows.

    A key that changes leaves the old row where it is and comes as a new one. Where rows are only marked deleted it may come back by an update.

    Args:
        spec: the pipeline.
        detection: what this run began with.
        now: the table after its batches.
    """
    before, begun = detection.counted, detection.target_identity
    if before is None or begun is None or spec.delete_missing != "hard":
        return False
    counts = now.get("updated", 0) > begun.get("updated", 0)  # a partitioned table counts nothing
    return counts and all(before.get(name) == now.get(name) for name in ("id", "epoch", "filenode", "inserted"))
