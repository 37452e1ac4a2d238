"""An Elasticsearch index as a target."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any

from querymirror.buckets import Buckets, Span
from querymirror.connections import Address
from querymirror.digest import document_checksums, id_checksums
from querymirror.errors import RecordError
from querymirror.facts import Checksums, Column, Shape, WireColumn
from querymirror.records import Batch, BatchResult, Ensured, Foreseen, Reject, RunRequest
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.target import ElasticsearchTarget
from querymirror.targets.base import OpenKeys, OpenStream, OrphanSearch
from querymirror.targets.es_bulk import BulkLoad
from querymirror.targets.es_client import Client
from querymirror.targets.es_foreseeing import ComparingLoad, foresee_index
from querymirror.targets.es_index import AliasedIndex
from querymirror.targets.es_orphans import IndexOrphanSearch, orphan_ids, parts
from querymirror.targets.es_rejects import RejectsIndex
from querymirror.targets.es_scan import scan_documents, scan_ids


class ElasticsearchIndex:
    """Writes one pipeline's index.

    Args:
        spec: the pipeline.
        target: its target.
        address: the cluster.
    """

    ids_in_memory = 500_000  # of buckets that differ, looked at together, each in one read of all ids; 5 MB

    def __init__(self, spec: PipelineSpec, target: ElasticsearchTarget, address: Address) -> None:
        self._spec, self._target, self._address = spec, target, address
        self._columns: Sequence[Column] = ()

    @cached_property
    def _client(self) -> Client:
        return Client(self._address)

    @cached_property
    def _index(self) -> AliasedIndex:
        return AliasedIndex(self._spec, self._target, self._client)

    @property
    def _soft(self) -> bool:
        return self._spec.delete_missing == "soft"

    def identity(self) -> dict[str, Any] | None:
        """Returns the index's uuid and how many writes it has seen: both survive restarts, and move with anybody's write."""
        name = self._index.current()
        if name is None:
            return None
        path = "indices.*.uuid,indices.*.shards.*.routing.primary,indices.*.shards.*.seq_no.max_seq_no"
        stats = self._client.call("GET", f"/{name}/_stats", params={"level": "shards", "filter_path": path})
        found = next(iter(stats["indices"].values()))
        primaries = [shard for copies in found.get("shards", {}).values() for shard in copies if shard["routing"]["primary"]]
        return {"id": found["uuid"], "index": name, "writes": sum(shard["seq_no"]["max_seq_no"] + 1 for shard in primaries)}

    def ensure(self, columns: Sequence[Column]) -> Ensured:
        """Creates the index for the spec's settings and mappings, beside an older one where those changed."""
        self._columns = columns
        before = self._index.current()
        name, made = self._index.create(columns)
        if not made:
            self._client.call("POST", f"/{name}/_refresh")
        empty = made or self._client.call("GET", f"/{name}/_count")["count"] == 0
        done = () if before == name else (f"filling index {name}" + (f" beside {before}" if before else ""),)
        return Ensured(empty=empty, refill=before != name, physical=name, changes=done)

    def foresee(self, columns: Sequence[Column]) -> Foreseen:
        """Returns the requests by which `ensure` and `finish` would make and publish an index; writes nothing."""
        self._columns = columns
        return foresee_index(self._index, self._client, columns)

    def compare(self, open_stream: OpenStream, batch: Batch, shape: Shape, *, names: int) -> BatchResult:  # noqa: ARG002 - a document's form is in its lines
        """Counts the documents of a batch that differ from the index's."""
        load = ComparingLoad(self._client, self._physical, compare=True, clock=lambda: 0, run_id="")
        asyncio.run(load.run(open_stream()))
        counts, samples = load.counts, tuple(f"different {i}" for i in load.differing[:names])
        return BatchResult(number=batch.number, read=counts["read"], upserted=counts["upserted"], unchanged=counts["unchanged"], samples=samples)

    def shape(self, columns: Sequence[Column]) -> Shape:
        """Returns the form in which the index takes the query's rows."""
        self._columns = columns
        stored = [WireColumn(name=c.name, type=c.source_type, target=c.name, compared_as=c.source_type) for c in columns if c.name not in self._target.omit]
        return Shape(format="ndjson", columns=tuple(stored), key=self._spec.source.primary_key, orphan_key=self._spec.source.primary_key)

    @property
    def _physical(self) -> str:
        return self._index.physical(self._columns)

    def upsert(self, open_stream: OpenStream, batch: Batch, request: RunRequest, shape: Shape, *, clock: Callable[[], int]) -> BatchResult:  # noqa: ARG002 - a document's form is in its lines
        """Sends a batch's documents, those that differ only; of two readings the later one stays."""
        begun = time.monotonic()
        load = BulkLoad(self._client, self._physical, compare=not batch.direct, clock=clock, run_id=request.run_id, exact=batch.kind == "buckets")
        asyncio.run(load.run(open_stream()))
        if load.rejects and self._spec.on_reject == "fail":
            raise RecordError(self._spec.id, rejected=len(load.rejects), samples=[(r.key, r.reason) for r in load.rejects])
        RejectsIndex(self._client, self._target.index).keep(load.rejects)
        return BatchResult(
            number=batch.number,
            read=load.counts["read"],
            upserted=load.counts["upserted"],
            unchanged=load.counts["unchanged"],
            rejected=len(load.rejects),
            samples=tuple(f"different {i}" for i in load.samples) if batch.kind == "buckets" else (),
            seconds=time.monotonic() - begun,
        )

    def key_ends(self, shape: Shape, spans: Sequence[Span] = ()) -> list[Span] | None:  # noqa: ARG002 - ids are texts, of which no index finds a range
        """Returns None: buckets of ids are by hash."""
        return None

    def checksums(self, shape: Shape, buckets: Buckets, *, content: bool, spans: Sequence[Span] = ()) -> Checksums:  # noqa: ARG002 - documents carry their own columns
        """Returns count and hash of each bucket of ids, computed as the source computes them for documents."""
        if content:
            return document_checksums(scan_documents(self._client, self._physical, soft=self._soft), buckets.count)
        return id_checksums(scan_ids(self._client, self._physical, soft=self._soft), buckets.count)

    def orphans(
        self,
        open_keys: OpenKeys,
        buckets: Sequence[Buckets],
        shape: Shape,
        *,
        dry: bool = False,  # noqa: ARG002 - a search holds no lock
    ) -> AbstractContextManager[OrphanSearch]:
        """Finds the documents of some buckets whose id the source did not return."""
        found = orphan_ids(self._client, self._physical, open_keys, parts(buckets, self.count(), self.ids_in_memory), soft=self._soft)
        return nullcontext(IndexOrphanSearch(self._client, self._physical, found, width=len(shape.key), soft=self._soft))

    def count(self) -> int:
        """Counts the live documents."""
        query: dict[str, Any] = {"bool": {"must_not": {"exists": {"field": "deleted_at"}}}} if self._soft else {"match_all": {}}
        self._client.call("POST", f"/{self._physical}/_refresh")
        return int(self._client.call("POST", f"/{self._physical}/_count", {"query": query})["count"])

    def finish(self, columns: Sequence[Column]) -> None:
        """Makes the documents visible under the alias."""
        self._columns = columns
        self._index.publish(self._physical, self._columns)

    def rejects(self) -> list[Reject]:
        """Lists the documents kept aside."""
        return RejectsIndex(self._client, self._target.index).list()

    def keep_rejects(self, rejects: Sequence[Reject]) -> None:
        """Keeps rows aside that never came here."""
        RejectsIndex(self._client, self._target.index).keep(rejects)

    def drop_rejects(self, keys: Sequence[str] | None = None) -> int:
        """Forgets documents kept aside, all of them without `keys`."""
        return RejectsIndex(self._client, self._target.index).drop(keys)

    def close(self) -> None:
        """Closes the connections, where any were opened."""
        if "_client" in self.__dict__:
            self._client.close()
