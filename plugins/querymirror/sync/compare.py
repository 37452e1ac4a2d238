"""Compares source and target by counts and by checksums of buckets of keys; moves no rows and no keys where nothing differs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from querymirror.facts import Shape
from querymirror.sources.base import Source
from querymirror.targets.base import Target

BUCKETS = 4096  # a power of two; 0.1 MB of checksums, and one row that differs costs 1/4096 of the table


def differing_buckets(source: Source, target: Target, shape: Shape, *, content: bool) -> tuple[int, ...]:
    """Returns the buckets whose rows (or, without `content`, whose keys) are not the same on both sides."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        theirs = pool.submit(target.checksums, shape, content=content, bucket_count=BUCKETS)
        ours = source.checksums(shape, content=content, bucket_count=BUCKETS)
        there = theirs.result()
    return tuple(sorted(b for b in ours.keys() | there.keys() if ours.get(b) != there.get(b)))


def same_count(source: Source, target: Target) -> bool:
    """Returns whether both sides have as many rows, both counting at the same time."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        theirs = pool.submit(target.count)
        return source.count() == theirs.result()
