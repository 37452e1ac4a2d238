"""Compares source and target by counts and by checksums of buckets of keys; moves no rows and no keys where nothing differs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from querymirror.buckets import Buckets, Span
from querymirror.facts import Checksums, Shape
from querymirror.sources.base import Source
from querymirror.targets.base import Target

BUCKETS = 4096  # a power of two; 0.1 MB of checksums, and one row that differs costs 1/4096 of the table
FULL = 10_000  # rows from which on a range that differs is cut again: keys need not lie evenly between the least and the greatest
MOST_FULL = 64  # ranges cut again; where more of them differ there is much to read anyway
CUTS = 4

T = TypeVar("T")


def differing_buckets(source: Source, target: Target, shape: Shape, *, content: bool) -> tuple[Buckets, ...]:
    """Returns the buckets whose rows (or, without `content`, whose keys) are not the same on both sides; empty = none."""
    return _Comparison(source, target, shape, content).differing()


def same_count(source: Source, target: Target) -> bool:
    """Returns whether both sides have as many rows, both counting at the same time."""
    ours, theirs = _both(source.count, target.count)
    return ours == theirs


def _both(ours: Callable[[], T], theirs: Callable[[], T]) -> tuple[T, T]:
    """Asks both sides at the same time."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        there = pool.submit(theirs)
        return ours(), there.result()


@dataclass(frozen=True)
class _Comparison:
    source: Source
    target: Target
    shape: Shape
    content: bool

    def differing(self) -> tuple[Buckets, ...]:
        """Cuts the keys, and once more those ranges that differ and hold most of the rows."""
        spans: list[Span] = []
        found: list[Buckets] = []
        cut = self._cut(spans)
        for level in range(1, CUTS + 1):
            rows = self._differences(cut, spans)
            full = [number for number, count in rows.items() if count > FULL] if cut.shift and level < CUTS else []
            if len(full) > MOST_FULL:
                full = []
            if len(rows) > len(full):
                found.append(cut.meaning(rows.keys() - set(full)))
            if not full:
                break
            spans = cut.meaning(full).spans()
            cut = self._cut(spans)
        return tuple(found)

    def _cut(self, spans: Sequence[Span]) -> Buckets:
        """Returns ranges between the least and the greatest key of both sides where an index finds these, else buckets by hash."""
        ours, theirs = _both(lambda: self.source.key_ends(self.shape, spans), lambda: self.target.key_ends(self.shape, spans))
        if ours is None or theirs is None:
            return Buckets(count=BUCKETS)
        return Buckets.over([a.joined(b) for a, b in zip(ours, theirs, strict=True)], BUCKETS // len(ours))

    def _differences(self, cut: Buckets, spans: Sequence[Span]) -> dict[int, int]:
        """Returns the buckets that differ, with the greater of both numbers of rows."""

        def ask(side: Source | Target) -> Checksums:
            return side.checksums(self.shape, cut, content=self.content, spans=spans)

        ours, theirs = _both(lambda: ask(self.source), lambda: ask(self.target))
        nothing = (0, 0)
        return {b: max(ours.get(b, nothing)[0], theirs.get(b, nothing)[0]) for b in ours.keys() | theirs.keys() if ours.get(b) != theirs.get(b)}
