"""What every step of one run has in hand."""

from __future__ import annotations

from dataclasses import dataclass

from querymirror.records import BatchResult, Detection, Extraction, OrphanResult, RunRequest
from querymirror.sources.base import Source
from querymirror.spec.pipeline import PipelineSpec
from querymirror.state.base import PipelineState
from querymirror.targets.base import Target


@dataclass(frozen=True)
class Run:
    """One run of one pipeline.

    Attributes:
        state: as committed before the run; None = there is none, or the step does not read it.
    """

    spec: PipelineSpec
    source: Source
    target: Target
    request: RunRequest
    state: PipelineState | None = None


@dataclass(frozen=True)
class Done:
    """What the steps before `commit` did."""

    detection: Detection
    extraction: Extraction
    results: tuple[BatchResult, ...]
    orphans: OrphanResult
