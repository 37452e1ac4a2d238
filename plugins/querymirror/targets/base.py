"""What a target can do; the rest of the code knows no more of it. A third target is one more implementation of this."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from querymirror.buckets import Buckets, Span
from querymirror.facts import Checksums, Column, Key, Shape
from querymirror.records import Batch, BatchResult, Ensured, Foreseen, Reject, RunRequest

OpenStream = Callable[[], AsyncIterator[bytes]]
"""Starts reading a batch: called once the target is ready, so that a later write never holds an older reading."""

OpenKeys = Callable[[Sequence[Buckets]], AsyncIterator[bytes]]
"""Starts reading the source's orphan keys of some buckets, see `Source.stream_keys`."""


class OrphanSearch(Protocol):
    """Target rows whose key the query did not return, found but not yet deleted."""

    total: int

    def pages(self, size: int) -> Iterator[list[Key]]:
        """Yields the candidates' keys."""
        ...

    def delete(self, keys: Sequence[Key], version: int) -> int:
        """Deletes rows by orphan key, hard or soft; `version` is the source's clock before they were found missing."""
        ...


class Target(Protocol):
    """A table or an index. Every method may raise `TransientError` or `TerminalError`."""

    def identity(self) -> dict[str, Any] | None:
        """Returns what changes when someone else changes the target; None = there is no target."""
        ...

    def ensure(self, columns: Sequence[Column]) -> Ensured:
        """Creates or adapts the target; safe to repeat."""
        ...

    def foresee(self, columns: Sequence[Column]) -> Foreseen:
        """Returns what `ensure` would do; writes nothing, and refuses what `ensure` refuses."""
        ...

    def shape(self, columns: Sequence[Column]) -> Shape:
        """Returns the form in which it takes the query's rows."""
        ...

    def upsert(self, open_stream: OpenStream, batch: Batch, request: RunRequest, shape: Shape, *, clock: Callable[[], int]) -> BatchResult:
        """Inserts or replaces a batch's rows; repeating it changes nothing. `clock` asks the source for its time."""
        ...

    def compare(self, open_stream: OpenStream, batch: Batch, shape: Shape, *, names: int) -> BatchResult:
        """Counts what `upsert` would write, `samples` naming up to `names` of the rows; the target must exist and fit. Writes nothing."""
        ...

    def key_ends(self, shape: Shape, spans: Sequence[Span] = ()) -> list[Span] | None:
        """Returns the least and the greatest key in each span (without spans, of all) by an index; None = it can't cut its keys by ranges."""
        ...

    def checksums(self, shape: Shape, buckets: Buckets, *, content: bool, spans: Sequence[Span] = ()) -> Checksums:
        """Returns count and hash of each bucket of keys, computed as the source computes them for this shape; `spans`: of these keys only."""
        ...

    def orphans(self, open_keys: OpenKeys, buckets: Sequence[Buckets], shape: Shape, *, dry: bool = False) -> AbstractContextManager[OrphanSearch]:
        """Finds the rows of some buckets whose key the source did not return; no buckets = all of them. `dry`: none will be deleted, no writer waits."""
        ...

    def count(self) -> int:
        """Counts the live rows."""
        ...

    def finish(self, columns: Sequence[Column]) -> None:
        """Makes what was written visible to readers; the last step before the state moves."""
        ...

    def rejects(self) -> list[Reject]:
        """Lists the rows kept aside."""
        ...

    def keep_rejects(self, rejects: Sequence[Reject]) -> None:
        """Keeps rows aside that never came here; a key's later reason replaces its earlier one."""
        ...

    def drop_rejects(self, keys: Sequence[str] | None = None) -> int:
        """Forgets rows kept aside, all of them without `keys`; returns how many."""
        ...

    def close(self) -> None:
        """Closes the sessions."""
        ...
