"""Fixes this run's horizon and windows, and cuts what changed into batches: bounds, never rows."""

from __future__ import annotations

from collections.abc import Iterable

from querymirror.plan.movement import unmoved
from querymirror.plan.window import advance
from querymirror.records import Batch, Detection, Ensured, Extraction, StreamState, Window
from querymirror.sources.base import Source
from querymirror.spec.pipeline import PipelineSpec
from querymirror.sync.compare import differing_buckets
from querymirror.sync.run import Run
from querymirror.targets.base import Target

WAIT_FOR_TRANSACTIONS = 0.5  # seconds; most end at once, and the window need not start again at the older bound
WAIT_IN_FULL_READ = 5.0  # a bound found now saves a comparison of everything next time


def extract(run: Run, detection: Detection, ensured: Ensured) -> Extraction:
    """Decides what to read, from which bound, in which batches."""
    spec, source, state = run.spec, run.source, run.state
    if run.request.window is not None:
        batches = _window_batches(spec, source, {"main": run.request.window})
        return Extraction(batches=_numbered(batches), streams=state.streams if state else {})
    full = detection.full or ensured.refill or ensured.empty
    before = {} if full or state is None else dict(state.streams)
    streams, highs, bounded = _advance(spec, source, before, full=full)
    if full:
        batches = [Batch(number=0, kind="range", window=w, direct=ensured.empty) for w in source.cut_ranges(spec.batch_size)]
    elif detection.compare or not bounded:
        batches = _comparison_batches(source, run.target)
    else:
        still = unmoved(state, detection.probe, highs) if state else set()
        streams |= {name: before[name] for name in still}
        batches = _window_batches(spec, source, {name: _window(spec, source, name, stream) for name, stream in before.items() if name not in still})
    compared = full or detection.compare or not bounded
    return Extraction(batches=_numbered(batches), streams=streams, highs=highs, full=full, compared=compared)


def _advance(spec: PipelineSpec, source: Source, before: dict[str, StreamState], *, full: bool) -> tuple[dict[str, StreamState], dict[str, str | None], bool]:
    """Returns the streams' state after this run, the highest cursors, and whether each has a bound to start from."""
    names = [*(["main"] if spec.source.cursor_column else []), *(c.name for c in spec.source.changes if spec.source.cursor_column)]
    if not names:
        return {}, {}, False
    left_before = {name: source.still_open(stream.open) for name, stream in before.items() if stream.open}
    horizon = source.horizon()
    open_now = source.still_open(horizon.open, wait=WAIT_IN_FULL_READ if full else WAIT_FOR_TRANSACTIONS)
    origins = source.origins()
    after = {}
    for name in names:
        old = before.get(name, StreamState())
        new = advance(old, name, horizon, left_before=left_before.get(name, ()), open_now=open_now)
        after[name] = new.model_copy(update={"origin": origins.get(name)})
    return after, horizon.highs, all(name in before and before[name].low is not None for name in names)


def _window(spec: PipelineSpec, source: Source, name: str, stream: StreamState) -> Window:
    return Window(low=source.below(name, stream.low, spec.lag) if stream.low is not None else None)


def _window_batches(spec: PipelineSpec, source: Source, windows: dict[str, Window]) -> Iterable[Batch]:
    for name, window in windows.items():
        if name == "main":
            yield from (Batch(number=0, kind="window", window=w) for w in source.cut_window(window, spec.batch_size))
        else:
            yield Batch(number=0, kind="changes", stream=name, window=source.everything_above(name, window))


def _comparison_batches(source: Source, target: Target) -> Iterable[Batch]:
    shape = target.shape(source.describe())
    differing = differing_buckets(source, target, shape, content=True)
    return [Batch(number=0, kind="buckets", buckets=differing)] if differing else []


def _numbered(batches: Iterable[Batch]) -> tuple[Batch, ...]:
    return tuple(batch.model_copy(update={"number": number}) for number, batch in enumerate(batches))
