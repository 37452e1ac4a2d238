"""Orphans of an index: ids that the source did not return."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from querymirror.errors import TransientError
from querymirror.facts import Key
from querymirror.targets.es_client import Client
from querymirror.targets.es_mapping import DELETED_AT

_CONFLICT, _NOT_FOUND, _OK = 409, 404, 300


class IndexOrphanSearch:
    """Candidates held in memory, by key; only those of buckets that differed are here."""

    def __init__(self, client: Client, index: str, ids: Mapping[Key, str], *, soft: bool) -> None:
        self._client, self._index, self._ids, self._soft = client, index, dict(ids), soft
        self.total = len(self._ids)

    def pages(self, size: int) -> Iterator[list[Key]]:
        """Yields the candidates' keys."""
        keys = list(self._ids)
        for start in range(0, len(keys), size):
            yield keys[start : start + size]

    def delete(self, keys: Sequence[Key], version: int) -> int:
        """Deletes or marks documents; one that was written by a later reading stays."""
        ids = [self._ids[key] for key in keys]
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
