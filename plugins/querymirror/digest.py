"""Hashes of documents and of their ids, equal to what PostgreSQL computes with `md5`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def id_hash(document_id: str) -> int:
    """Returns the first 64 bits of the id's md5 as a signed integer, as `('x' || substr(md5(id), 1, 16))::bit(64)::bigint` does."""
    return int.from_bytes(hashlib.md5(document_id.encode(), usedforsecurity=False).digest()[:8], "big", signed=True)


def document_hash(document_id: str, document: bytes) -> int:
    """Returns a 64-bit hash of a document under its id: two documents that swap their ids are not the same."""
    text = b"%b\n%b" % (document_id.encode(), document)
    return int.from_bytes(hashlib.md5(text, usedforsecurity=False).digest()[:8], "big", signed=True)


def document_checksums(documents: Iterable[tuple[str, bytes]], bucket_count: int) -> dict[int, tuple[int, int]]:
    """Returns count and hash by bucket over (id, document).

    Documents are compared as bytes, as they were sent: a JSON parser rounds numbers, and reads 1.0 and 1.00, 0 and -0 as the same.
    """
    sums: dict[int, tuple[int, int]] = {}
    for document_id, document in documents:
        bucket = id_hash(document_id) & (bucket_count - 1)
        count, hashed = sums.get(bucket, (0, 0))
        sums[bucket] = (count + 1, hashed ^ document_hash(document_id, document))
    return sums


def id_checksums(ids: Iterable[str], bucket_count: int) -> dict[int, tuple[int, int]]:
    """Returns count and hash by bucket over ids."""
    sums: dict[int, tuple[int, int]] = {}
    for document_id in ids:
        key = id_hash(document_id)
        count, hashed = sums.get(key & (bucket_count - 1), (0, 0))
        sums[key & (bucket_count - 1)] = (count + 1, hashed ^ key)
    return sums
