"""Reads all documents of an index, or all their ids, from one point in time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from querymirror.targets.es_client import Client, Stored
from querymirror.targets.es_mapping import DELETED_AT

KEEP_ALIVE = "5m"  # between two pages
IDS_PAGE, DOCUMENTS_PAGE = 10_000, 1_000


class _Hits(msgspec.Struct):
    hits: list[Stored]


class _Found(msgspec.Struct):
    hits: _Hits


def scan_ids(client: Client, index: str, *, soft: bool) -> Iterator[str]:
    """Yields the id of every live document."""
    for hit in _scan(client, index, {"_source": False}, size=IDS_PAGE, soft=soft):
        yield hit.id


def scan_documents(client: Client, index: str, *, soft: bool) -> Iterator[tuple[str, bytes]]:
    """Yields (id, document) of every live document."""
    for hit in _scan(client, index, {}, size=DOCUMENTS_PAGE, soft=soft):
        yield hit.id, bytes(hit.source)


def _scan(client: Client, index: str, options: dict[str, Any], *, size: int, soft: bool) -> Iterator[Stored]:
    client.call("POST", f"/{index}/_refresh")
    query: dict[str, Any] = {"bool": {"must_not": {"exists": {"field": DELETED_AT}}}} if soft else {"match_all": {}}
    with _point_in_time(client, index) as pit:
        after: list[int] | None = None
        while True:
            body = {
                "size": size,
                "query": query,
                "pit": {"id": pit, "keep_alive": KEEP_ALIVE},
                "sort": [{"_shard_doc": "asc"}],
                "track_total_hits": False,
                **options,
            }
            if after is not None:
                body["search_after"] = after
            hits = client.call_for(_Found, "/_search", body).hits.hits
            yield from hits
            if len(hits) < size:
                return
            after = hits[-1].sort


@contextmanager
def _point_in_time(client: Client, index: str) -> Iterator[str]:
    pit = client.call("POST", f"/{index}/_pit", params={"keep_alive": KEEP_ALIVE})["id"]
    try:
        yield pit
    finally:
        client.call("DELETE", "/_pit", {"id": pit}, missing_ok=True)
