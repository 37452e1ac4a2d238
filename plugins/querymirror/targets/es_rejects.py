"""Documents the index refused, kept in an index beside it: `<index>__rejects`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import orjson

from querymirror.errors import TransientError
from querymirror.records import Reject
from querymirror.targets.es_client import Client

_TEXT = {"type": "keyword", "index": False, "doc_values": False}
_CONFIG = {
    "settings": {"number_of_shards": 1},
    "mappings": {
        "dynamic": "strict",
        "properties": {"key": _TEXT, "row": _TEXT, "reason": _TEXT, "run_id": {"type": "keyword"}, "at": {"type": "date"}},
    },
}
_EXISTS, _LISTED, _OK = 400, 10_000, 300


class RejectsIndex:
    """The dead letters of one index; made when the first document is refused."""

    def __init__(self, client: Client, index: str) -> None:
        self._client, self._name = client, f"{index}__rejects"

    def _exists(self) -> bool:
        return self._client.call("GET", f"/{self._name}/_settings", missing_ok=True) is not None

    def keep(self, rejects: Sequence[Reject]) -> None:
        """Keeps documents; a later reason of the same id replaces its earlier one."""
        if not rejects:
            return
        if not self._exists():
            self._client.call("PUT", f"/{self._name}", _CONFIG)
        at = datetime.now(UTC).isoformat()
        lines = [line for r in rejects for line in ({"index": {"_id": _letter_id(r.key)}}, {**r.to_json(), "at": at})]
        results = self._client.bulk(self._name, b"".join(orjson.dumps(line) + b"\n" for line in lines), guarded=False)
        failed = [r for r in results if r["status"] >= _OK]
        if failed:
            message = f"{self._name}: {len(failed)} refused documents could not be kept, the first: {failed[0]}."
            raise TransientError(message)
        self._client.call("POST", f"/{self._name}/_refresh")

    def list(self) -> list[Reject]:
        """Lists the documents, the newest first; at most 10,000."""
        if not self._exists():
            return []
        body = {"size": _LISTED, "sort": [{"at": "desc"}]}
        hits = self._client.call("POST", f"/{self._name}/_search", body)["hits"]["hits"]
        return [Reject.from_json(hit["_source"]) for hit in hits]

    def drop(self, keys: Sequence[str] | None) -> int:
        """Deletes documents by key, all without `keys`."""
        wanted = [r.key for r in self.list()] if keys is None else list(keys)
        if not wanted or not self._exists():
            return 0
        results = self._client.bulk(self._name, b"".join(orjson.dumps({"delete": {"_id": _letter_id(k)}}) + b"\n" for k in wanted), guarded=False)
        self._client.call("POST", f"/{self._name}/_refresh")
        return sum(r["status"] < _OK for r in results)


def _letter_id(key: str) -> str:
    """A key may be empty, or longer than an id may be: those are why a document is here."""
    return hashlib.sha256(key.encode()).hexdigest()
