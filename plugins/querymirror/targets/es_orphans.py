"""Orphans of an index: ids that the source did not return.

Of the source's ids only their hashes are kept, eight bytes each; of the orphans their JSON. So a worker's memory hardly grows with the index.
"""

from __future__ import annotations

import asyncio
import json
from array import array
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from querymirror.buckets import Buckets
from querymirror.digest import id_hash
from querymirror.errors import TransientError
from querymirror.facts import Key
from querymirror.targets.base import OpenKeys
from querymirror.targets.es_client import Client
from querymirror.targets.es_mapping import DELETED_AT
from querymirror.targets.es_scan import scan_ids

_CONFLICT, _NOT_FOUND, _OK = 409, 404, 300
_IDS_TOGETHER = 5_000
_ALL = 4096  # buckets, where all ids are asked for


class IdList:
    """Ids kept as JSON arrays, a tenth of the memory of so many strings."""

    def __init__(self) -> None:
        self._pages, self._last, self._total = list[bytes](), list[str](), 0

    def __len__(self) -> int:
        return self._total

    def add(self, document_id: str) -> None:
        """Keeps an id."""
        self._total += 1
        self._last.append(document_id)
        if len(self._last) == _IDS_TOGETHER:
            self._pages.append(orjson.dumps(self._last))
            self._last = []

    def pages(self, size: int) -> Iterator[list[str]]:
        """Yields the ids in the order in which they came, at most `size` together."""
        for page in [*self._pages, orjson.dumps(self._last)]:
            ids: list[str] = orjson.loads(page)
            yield from (ids[start : start + size] for start in range(0, len(ids), size))


class IndexOrphanSearch:
    """Candidates of the buckets that differed."""

    def __init__(self, client: Client, index: str, ids: IdList, *, width: int, soft: bool) -> None:
        self._client, self._index, self._ids, self._width, self._soft = client, index, ids, width, soft
        self._page: dict[Key, str] = {}
        self.total = len(ids)

    def pages(self, size: int) -> Iterator[list[Key]]:
        """Yields the candidates' keys; what is deleted is of the page that came last."""
        for ids in self._ids.pages(size):
            self._page = {key_of(document_id, self._width): document_id for document_id in ids}
            yield list(self._page)

    def delete(self, keys: Sequence[Key], version: int) -> int:
        """Deletes or marks documents; one that was written by a later reading stays."""
        ids = [self._page[key] for key in keys]
        lines = self._marks(ids, version) if self._soft else [orjson.dumps({"delete": _head(i, version)}) for i in ids]
        if not lines:
            return 0
        results = self._client.bulk(self._index, b"".join(line + b"\n" for line in lines))
        failed = [r for r in results if r["status"] >= _OK and r["status"] not in {_CONFLICT, _NOT_FOUND}]
        if failed:
            message = f"{self._index}: {len(failed)} deletes failed, the first with {failed[0]}."
            raise TransientError(message, fix="The next cycle finds them again.")
        return sum(r["status"] < _OK for r in results)

    def _marks(self, ids: Sequence[str], version: int) -> list[bytes]:
        mark = orjson.dumps({DELETED_AT: datetime.now(UTC).isoformat()})
        lines: list[bytes] = []
        for doc in self._client.documents(self._index, ids):
            if doc.found:
                lines += [orjson.dumps({"index": _head(doc.id, version)}), _marked(bytes(doc.source), mark)]
        return lines


def parts(buckets: Sequence[Buckets], documents: int, most: int) -> Iterator[Buckets]:
    """Cuts buckets (by hash; none = all) into parts that hold about `most` of an index's documents."""
    for cut in buckets or [Buckets(count=_ALL, numbers=tuple(range(_ALL)))]:
        step = max(most * cut.count // max(documents, 1), 1)
        yield from (cut.meaning(cut.numbers[start : start + step]) for start in range(0, len(cut.numbers), step))


def orphan_ids(client: Client, index: str, open_keys: OpenKeys, looks: Iterator[Buckets], *, soft: bool) -> IdList:
    """Returns the ids that the source lacks, one read of the source's keys and of all ids of the index for each part.

    The source is read first: a document that comes meanwhile may be named, and is looked up once more before it goes.
    """
    found = IdList()
    for buckets in looks:
        there = asyncio.run(_hashes(open_keys([buckets]), buckets))
        for document_id in scan_ids(client, index, soft=soft):
            hashed = id_hash(document_id)
            known = there.get(hashed & (buckets.count - 1))
            if known is not None and not _holds(known, hashed):
                found.add(document_id)
    return found


async def _hashes(lines: AsyncIterator[bytes], buckets: Buckets) -> dict[int, array[int]]:
    """Returns the hashes of the ids that a stream of JSON strings names, in order, by bucket."""
    found = {number: array("q") for number in buckets.numbers}
    rest = b""
    async for data in lines:
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            hashed = id_hash(orjson.loads(line))
            if (number := hashed & (buckets.count - 1)) in found:
                found[number].append(hashed)
    for number, hashes in found.items():  # one after the other: never all of them twice
        found[number] = array("q", sorted(hashes))
    return found


def _holds(hashes: array[int], hashed: int) -> bool:
    place = bisect_left(hashes, hashed)
    return place < len(hashes) and hashes[place] == hashed


def key_of(document_id: str, width: int) -> Key:
    """Returns the key that a document's id stands for; an id that the pipeline can't have written stands for a key that no row has."""
    if width == 1:
        return (document_id,)
    try:
        parts = json.loads(document_id)
    except ValueError:
        parts = None
    # Spelled otherwise it is another document, whose key must not hide this one's.
    ours = isinstance(parts, list) and len(parts) == width and json.dumps(parts, ensure_ascii=False) == document_id
    return tuple(parts) if ours and all(isinstance(p, str | None) for p in parts) else (document_id, *[None] * (width - 1))


def _marked(document: bytes, mark: bytes) -> bytes:
    """Puts the mark before the closing brace: reading and writing the document would round its numbers. Somebody else's may be empty or span lines."""
    head = document.replace(b"\n", b" ").replace(b"\r", b" ").rstrip()[:-1].rstrip()
    return head + (b"" if head == b"{" else b",") + mark[1:]


def _head(document_id: str, version: int) -> dict[str, Any]:
    return {"_id": document_id, "version": version, "version_type": "external_gte"}
