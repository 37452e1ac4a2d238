"""One pipeline's steps bound to its servers, and a whole cycle in one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Self

from querymirror.errors import TerminalError
from querymirror.plan.sync_plan import SyncPlan
from querymirror.records import Batch, BatchResult, CycleSummary, Detection, Ensured, Extraction, OrphanResult, RunRequest, Sampled
from querymirror.sources.base import Source, Transforming
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.settings import Settings
from querymirror.state.base import PipelineState, StateStore
from querymirror.sync import commit as committing
from querymirror.sync.detect import detect
from querymirror.sync.ensure import ensure, require_allowed
from querymirror.sync.extract import extract
from querymirror.sync.orphans import delete_orphans
from querymirror.sync.planning import plan
from querymirror.sync.rejects import replay
from querymirror.sync.run import Done, Run
from querymirror.sync.upsert import upsert
from querymirror.targets.base import Target


class Cycle:
    """The steps of one pipeline; each may run in a process of its own, with a `Cycle` of its own.

    Args:
        spec: the pipeline.
        source: where its rows come from.
        target: where they go.
        settings: what may be written; checked before every step.
    """

    def __init__(self, spec: PipelineSpec, source: Source, target: Target, settings: Settings) -> None:
        require_allowed(spec, settings)
        self.spec, self.source, self.target = spec, source, target

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the sessions."""
        self.source.close()
        self.target.close()

    def detect(self, state: PipelineState | None, request: RunRequest) -> Detection:
        """Says whether anything moved and what the run must do; writes nothing."""
        return detect(self._run(request, state))

    def ensure(self, state: PipelineState | None, request: RunRequest, detection: Detection) -> Ensured:  # noqa: ARG002 - the steps' common form
        """Creates or adapts the target."""
        return ensure(self.source, self.target)

    def extract(self, state: PipelineState | None, request: RunRequest, detection: Detection, ensured: Ensured) -> Extraction:
        """Fixes horizon and windows, and cuts what changed into batches."""
        return extract(self._run(request, state), detection, ensured)

    def upsert(self, batch: Batch, request: RunRequest, ensured: Ensured) -> BatchResult:  # noqa: ARG002 - the steps' common form
        """Moves one batch; repeating it changes nothing."""
        return upsert(self.source, self.target, batch, request)

    def delete_orphans(self, request: RunRequest, detection: Detection, ensured: Ensured, extraction: Extraction) -> OrphanResult:
        """Removes what the query no longer returns."""
        return delete_orphans(self._run(request), detection, ensured, extraction)

    def commit(
        self,
        state: PipelineState | None,
        request: RunRequest,
        *,
        detection: Detection,
        ensured: Ensured,  # noqa: ARG002 - the steps' common form
        extraction: Extraction,
        results: Sequence[BatchResult],
        orphans: OrphanResult,
    ) -> tuple[PipelineState | None, CycleSummary]:
        """Returns the state to write, None where it must not move, and the summary."""
        return committing.commit(self._run(request, state), Done(detection, extraction, tuple(results), orphans))

    def quiet(self, state: PipelineState | None, request: RunRequest, *, seconds: float) -> CycleSummary:
        """Returns the summary of a run in which `detect` found nothing to do."""
        return committing.quiet(self._run(request, state), seconds=seconds)

    def plan(self, state: PipelineState | None, request: RunRequest) -> SyncPlan:
        """Says what a run would do, and counts what it would write and delete; writes nothing."""
        return plan(self._run(request, state))

    def sample(self, count: int) -> list[Sampled]:
        """Returns some rows before and after the pipeline's transform.

        Raises:
            TerminalError: it has none.
        """
        if not isinstance(self.source, Transforming):
            message = "the pipeline has no transform, rows go to the target as the query returns them."
            raise TerminalError(message, where=self.spec.id, fix="Leave --sample out.")
        return self.source.sample(count)

    def replay(self, request: RunRequest, keys: Sequence[str] | None = None) -> BatchResult:
        """Tries refused rows again; see `sync.rejects`."""
        return replay(self._run(request), keys)

    def _run(self, request: RunRequest, state: PipelineState | None = None) -> Run:
        return Run(self.spec, self.source, self.target, request, state)


Watch = Callable[[str, int, int], None]
"""Told which step begins, and how many of its parts are done, of how many."""


def run_cycle(cycle: Cycle, store: StateStore, request: RunRequest, watch: Watch = lambda _step, _done, _total: None) -> CycleSummary:
    """Runs all steps in this process, one after the other; the state moves last."""
    begun = time.monotonic()
    state = store.read(cycle.spec.id)
    watch("looking for changes", 0, 1)
    detection = cycle.detect(state, request)
    if not detection.changed:
        return cycle.quiet(state, request, seconds=time.monotonic() - begun)
    watch("preparing the target", 0, 1)
    ensured = cycle.ensure(state, request, detection)
    watch("comparing" if detection.compare else "cutting batches", 0, 1)
    extraction = cycle.extract(state, request, detection, ensured)
    results: list[BatchResult] = []
    for batch in extraction.batches:
        watch("writing rows", len(results), len(extraction.batches))
        results.append(cycle.upsert(batch, request, ensured))
    watch("looking for orphans", 0, 1)
    orphans = cycle.delete_orphans(request, detection, ensured, extraction)
    after, summary = cycle.commit(state, request, detection=detection, ensured=ensured, extraction=extraction, results=results, orphans=orphans)
    summary = summary.model_copy(update={"seconds": time.monotonic() - begun})
    if after is not None:
        store.write(cycle.spec.id, after.model_copy(update={"last": summary}))
    return summary
