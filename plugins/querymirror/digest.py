"""Hashes of documents and of their ids, equal to what PostgreSQL computes with `md5`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import orjson


def id_hash(document_id: str) -> int:
    """Returns the first 64 bits of the id's md5 as a signed integer, as `('x' || substr(md5(id), 1, 16))::bit(64)::bigint` does."""
    return int.from_bytes(hashlib.md5(document_id.encode(), usedforsecurity=False).digest()[:8], "big", signed=True)


def document_hash(document: Any) -> int:
    """Returns a 64-bit hash of a JSON value, whatever the order of its keys and the spelling of its numbers."""
    text = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    return int.from_bytes(hashlib.md5(text, usedforsecurity=False).digest()[:8], "big", signed=True)


def document_checksums(documents: Iterable[tuple[str, bytes | Any]], bucket_count: int) -> dict[int, tuple[int, int]]:
    """Returns count and hash by bucket over (id, document); a document is JSON bytes or a value already read."""
    sums: dict[int, tuple[int, int]] = {}
    for document_id, document in documents:
        value = orjson.loads(document) if isinstance(document, bytes) else document
        bucket = id_hash(document_id) & (bucket_count - 1)
        count, hashed = sums.get(bucket, (0, 0))
        # The id goes in too: two documents of a bucket that swap their ids are not the same.
        sums[bucket] = (count + 1, hashed ^ document_hash([document_id, value]))
    return sums


def id_checksums(ids: Iterable[str], bucket_count: int) -> dict[int, tuple[int, int]]:
    """Returns count and hash by bucket over ids."""
    sums: dict[int, tuple[int, int]] = {}
    for document_id in ids:
        key = id_hash(document_id)
        count, hashed = sums.get(key & (bucket_count - 1), (0, 0))
        sums[key & (bucket_count - 1)] = (count + 1, hashed ^ key)
    return sums
