"""The source as a pipeline with a transform has it: every row, key, count and checksum is of what the function returned.

So a row that the function drops is an orphan like any other, and a comparison sees what the target should hold. The price is that a look at
all keys calls the function over all rows, unless it is marked `keeps_all_rows`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import cached_property
from itertools import islice

import orjson

from querymirror.buckets import Buckets, Span
from querymirror.connections import Address
from querymirror.digest import document_checksums, id_checksums
from querymirror.errors import RecordError, TerminalError
from querymirror.facts import Checksums, Column, Key, Origin, Probe, QueryFacts, Shape, WireColumn
from querymirror.records import Batch, Reject, Sampled
from querymirror.sources.postgres import PostgresReader
from querymirror.sources.transforming import Outcome, RawRow, Transform
from querymirror.spec.pipeline import PipelineSpec
from querymirror.transforms import Function, compile_function

ROWS_PER_CALL = 1_000
BYTES_PER_CALL = 4_000_000  # rows of long documents come in smaller batches
MAX_REFUSED = 10_000  # rows of one batch; more than that is no matter of rows
SAMPLES = 3
EVERYTHING = Batch(number=0, kind="range")


class TransformedReader(PostgresReader):
    """Reads one pipeline's query and calls its function; the rows come as documents.

    Args:
        spec: the pipeline; it has a transform.
        address: the source.
    """

    def __init__(self, spec: PipelineSpec, address: Address) -> None:
        super().__init__(spec, address)
        self._refused: list[Reject] = []

    @cached_property
    def _transform(self) -> Transform:
        return Transform(self._function(), self._source.primary_key)

    def _function(self) -> Function:
        code = self._spec.transform_code
        if code is None:
            message = f"the source of {self._spec.transform} was not read."
            raise TerminalError(message, where=self._spec.id, fix="Load the spec from its file.")
        return compile_function(code.text, f"include/{code.file}", code.function)

    @property
    def _keeps_all_rows(self) -> bool:
        return self._transform.keeps_all_rows

    def probe(self, origins: Mapping[str, Origin]) -> tuple[Probe, QueryFacts]:
        """Reads counters and indexed cursors; a function that may drop rows narrows them as a WHERE does."""
        probe, facts = super().probe(origins)
        return probe, facts if self._keeps_all_rows else facts.model_copy(update={"filtered": True})

    def refused(self) -> list[Reject]:
        """Returns the rows that the function failed on since the last stream began."""
        return list(self._refused)

    def count(self) -> int:
        """Counts the rows that the function does not drop."""
        if self._keeps_all_rows:
            return super().count()
        return sum(len(outcome.kept) + len(outcome.refused) for outcome in self._scan())

    def present(self, keys: Sequence[Key]) -> set[Key]:
        """Returns those of the orphan keys that the query returns now and the function does not drop."""
        found = super().present(keys)
        if self._keeps_all_rows or not found:
            return found
        return asyncio.run(self._kept(tuple(found)))

    async def _kept(self, keys: tuple[Key, ...]) -> set[Key]:
        single, kept = len(self._source.primary_key) == 1, set[Key]()
        async with aclosing(self._calls(Batch(number=0, kind="keys", keys=keys), self._raw_shape)) as calls:
            async for outcome in calls:
                kept |= {(row.id,) if single else tuple(json.loads(row.id)) for row in staying(outcome)}
        return kept

    def key_ends(self, shape: Shape, spans: Sequence[Span] = ()) -> list[Span] | None:  # noqa: ARG002 - of the function's rows no index knows
        """Returns None: the keys are the function's."""
        return None

    def checksums(self, shape: Shape, buckets: Buckets, *, content: bool, spans: Sequence[Span] = ()) -> Checksums:
        """Returns count and hash of each bucket of ids, over the ids alone or over the documents that the function returned."""
        if not content:
            if self._keeps_all_rows:
                return super().checksums(shape, buckets, content=False, spans=spans)
            return id_checksums((row.id for outcome in self._scan() for row in staying(outcome)), buckets.count)
        return document_checksums(self.documents(shape), buckets.count)

    def documents(self, shape: Shape) -> Iterator[tuple[str, bytes]]:  # noqa: ARG002 - the function decides what a document holds
        """Yields (id, document) of the whole query; a row that the function fails on as it was read, which no document equals."""
        for outcome in self._scan():
            yield from ((row.id, document) for row, document in outcome.kept)
            yield from ((row.id, b"refused %b" % row.document) for row, _ in outcome.refused)

    def stream(self, batch: Batch, shape: Shape) -> AsyncIterator[bytes]:
        """Yields the documents of a batch with their action lines, cut anywhere."""
        self._refused = []
        return self._lines(batch, shape)

    async def _lines(self, batch: Batch, shape: Shape) -> AsyncIterator[bytes]:
        async with aclosing(self._calls(batch, shape)) as calls:
            async for outcome in calls:
                self._refuse(outcome.refused)
                if outcome.kept:
                    yield b"".join(b"%b\n%b\n" % (row.action, document) for row, document in outcome.kept)

    def stream_keys(self, shape: Shape, buckets: Sequence[Buckets]) -> AsyncIterator[bytes]:
        """Yields the ids of some buckets that the function does not drop, a JSON string a line; no buckets = all."""
        return super().stream_keys(shape, buckets) if self._keeps_all_rows else self._kept_ids(shape, buckets)

    async def _kept_ids(self, shape: Shape, buckets: Sequence[Buckets]) -> AsyncIterator[bytes]:
        batch = Batch(number=0, kind="buckets", buckets=tuple(buckets)) if buckets else EVERYTHING
        async with aclosing(self._calls(batch, shape)) as calls:
            async for outcome in calls:
                yield b"".join(orjson.dumps(row.id) + b"\n" for row in staying(outcome))

    def sample(self, count: int) -> list[Sampled]:
        """Returns the query's first rows before and after the function."""
        rows = [RawRow(b"", key, document) for key, document in islice(super().documents(self._raw_shape), count)]
        outcome = self._transform.apply(rows)
        after = {row.id: document.decode() for row, document in outcome.kept}
        reasons = {row.id: reason for row, reason in outcome.refused}
        return [Sampled(key=row.id, before=row.document.decode(), after=after.get(row.id), reason=reasons.get(row.id, "")) for row in rows]

    # What the function is called with.

    @property
    def _stored(self) -> tuple[Column, ...]:
        return tuple(c for c in self._columns if c.name not in self._spec.target.omit)

    @property
    def _raw_shape(self) -> Shape:
        """The query's rows as documents, whatever the target takes."""
        wires = tuple(WireColumn(name=c.name, type=c.source_type, target=c.name, compared_as=c.source_type) for c in self._stored)
        return Shape(format="ndjson", columns=wires, key=self._source.primary_key, orphan_key=self._source.primary_key)

    async def _calls(self, batch: Batch, shape: Shape) -> AsyncGenerator[Outcome, None]:
        """Calls the function over the rows of a batch."""
        async for rows in _raw_rows(super().stream(batch, shape)):
            yield self._transform.apply(rows)

    def _scan(self) -> Iterator[Outcome]:
        """Calls the function over all rows, from one snapshot."""
        return map(self._transform.apply, _chunks(super().documents(self._raw_shape)))

    def _refuse(self, refused: Sequence[tuple[RawRow, str]]) -> None:
        """Keeps rows for `refused`, or raises over them, as `on_reject` says."""
        if not refused:
            return
        letters = [Reject(key=self._letter_key(row), row=row.document.decode(), reason=reason, run_id="") for row, reason in refused]
        if self._spec.on_reject == "fail":
            samples = [(letter.key, letter.reason) for letter in letters[:SAMPLES]]
            raise RecordError(self._spec.id, rejected=len(letters), samples=samples, by=f"the transform {self._spec.transform}")
        self._refused += letters
        if len(self._refused) > MAX_REFUSED:
            message = f"{self._spec.transform} failed on more than {MAX_REFUSED} rows of one batch; the last: {letters[-1].reason}"
            raise TerminalError(message, where=self._spec.id, fix="Correct the function.")

    def _letter_key(self, row: RawRow) -> str:
        return row.id


def staying(outcome: Outcome) -> Iterable[RawRow]:
    """Returns the rows whose keys stay in the target: one that the function fails on keeps what it was before."""
    yield from (row for row, _ in outcome.kept)
    yield from (row for row, _ in outcome.refused)


def _chunks(documents: Iterator[tuple[str, bytes]]) -> Iterator[list[RawRow]]:
    chunk: list[RawRow] = []
    size = 0
    for document_id, document in documents:
        chunk.append(RawRow(b"", document_id, document))
        size += len(document)
        if len(chunk) >= ROWS_PER_CALL or size >= BYTES_PER_CALL:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


async def _raw_rows(stream: AsyncIterator[bytes]) -> AsyncIterator[list[RawRow]]:
    """Cuts a stream of action and document lines into batches."""
    lines: list[bytes] = []
    rest, size = b"", 0
    async for data in stream:
        *whole, rest = (rest + data).split(b"\n")
        lines += whole
        size += len(data)
        while len(lines) >= 2 * ROWS_PER_CALL or (size >= BYTES_PER_CALL and len(lines) > 1):
            taken = min(2 * ROWS_PER_CALL, len(lines) // 2 * 2)
            yield _rows(lines[:taken])
            del lines[:taken]
            size = len(rest) + sum(map(len, lines))
    if lines:
        yield _rows(lines)


def _rows(lines: Sequence[bytes]) -> list[RawRow]:
    pairs = zip(lines[0::2], lines[1::2], strict=True)
    return [RawRow(action, orjson.loads(action)["index"]["_id"], document) for action, document in pairs]
