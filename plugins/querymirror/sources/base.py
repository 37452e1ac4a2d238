"""What a source can do; the rest of the code knows no more of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from querymirror.buckets import Buckets, Span
from querymirror.facts import Checksums, Column, Horizon, Key, Origin, Probe, QueryFacts, Shape
from querymirror.records import Batch, Reject, Sampled, Window


class Source(Protocol):
    """A query over a database, read only. Every method may raise `TransientError` or `TerminalError`."""

    def describe(self) -> tuple[Column, ...]:
        """Returns the columns of the query's result, in order."""
        ...

    def origins(self) -> dict[str, Origin | None]:
        """Returns, for each stream, the base table's column behind its cursor."""
        ...

    def primary_key_origins(self) -> frozenset[int]:
        """Returns the oids of the tables that the primary key's columns come from; 0 stands for an expression."""
        ...

    def probe(self, origins: Mapping[str, Origin]) -> tuple[Probe, QueryFacts]:
        """Reads counters and indexed cursors; costs the same whatever the tables' size."""
        ...

    def horizon(self) -> Horizon:
        """Reads the highest cursor of each stream, then the transactions that are open."""
        ...

    def still_open(self, transactions: Sequence[str], *, wait: float = 0.0) -> tuple[str, ...]:
        """Returns those that have not ended, after waiting up to `wait` seconds for all of them to end."""
        ...

    def below(self, stream: str, low: str, lag: float) -> str:
        """Returns the cursor value `lag` seconds below `low`; `low` itself where seconds have no meaning."""
        ...

    def everything_above(self, stream: str, window: Window) -> Window:
        """Returns the window of a change with both of its bounds set, as `keys_sql` needs them."""
        ...

    def cut_ranges(self, batch_size: int) -> list[Window]:
        """Cuts the whole query into ranges of the first key column, of about `batch_size` rows each."""
        ...

    def cut_window(self, window: Window, batch_size: int) -> list[Window]:
        """Cuts a window of the main cursor into windows of at most `batch_size` rows (ties stay together)."""
        ...

    def count(self) -> int:
        """Counts the rows of the query."""
        ...

    def key_ends(self, shape: Shape, spans: Sequence[Span] = ()) -> list[Span] | None:
        """Returns the least and the greatest key in each span (without spans, of all) by an index; None = it can't cut its keys by ranges."""
        ...

    def checksums(self, shape: Shape, buckets: Buckets, *, content: bool, spans: Sequence[Span] = ()) -> Checksums:
        """Returns count and hash of each bucket of keys, over the keys alone or over all the target stores; `spans`: of these keys only."""
        ...

    def present(self, keys: Sequence[Key]) -> set[Key]:
        """Returns those of the orphan keys that the query returns now."""
        ...

    def statement(self, batch: Batch) -> str:
        """Returns the SQL that reads a batch, for people; without the columns' casts and, for `buckets`, without the condition."""
        ...

    def stream(self, batch: Batch, shape: Shape) -> AsyncIterator[bytes]:
        """Yields the rows of a batch from one snapshot, in the target's format, cut anywhere."""
        ...

    def refused(self) -> list[Reject]:
        """Returns the rows that the last stream left out because the pipeline's transform failed on them; without a run's id."""
        ...

    def stream_keys(self, shape: Shape, buckets: Sequence[Buckets]) -> AsyncIterator[bytes]:
        """Yields the orphan keys of some buckets, cut anywhere: COPY text, for `ndjson` shapes a JSON string a line; no buckets = all."""
        ...

    def documents(self, shape: Shape) -> Iterator[tuple[str, bytes]]:
        """Yields (id, document) of the whole query from one snapshot."""
        ...

    def clock(self) -> int:
        """Returns the source's time in microseconds, the scale of the versions that readings carry."""
        ...

    def close(self) -> None:
        """Closes the sessions."""
        ...


@runtime_checkable
class Transforming(Protocol):
    """A source that calls a transform."""

    def sample(self, count: int) -> list[Sampled]:
        """Returns some rows before and after it."""
        ...
