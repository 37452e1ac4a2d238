"""What a run would do to an index: its requests, and how many documents it would write. Nothing is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from querymirror.facts import Column
from querymirror.records import Foreseen
from querymirror.targets.es_bulk import BulkLoad
from querymirror.targets.es_client import Client
from querymirror.targets.es_index import AliasedIndex


@dataclass
class ComparingLoad(BulkLoad):
    """Compares documents with those of the index as a load does, and counts what it would send.

    Attributes:
        differing: ids of what it would send.
    """

    differing: list[str] = field(default_factory=list)

    def _write(self, pairs: list[tuple[bytes, bytes]]) -> None:
        self.counts["upserted"] += len(pairs)
        self.differing += [orjson.loads(action)["index"]["_id"] for action, _ in pairs]


def foresee_index(index: AliasedIndex, client: Client, columns: Sequence[Column]) -> Foreseen:
    """Returns what `ensure` and `finish` would do to the index and its alias.

    Raises:
        SchemaError: `ensure` would refuse.
    """
    current, (name, body) = index.current(), index.creation(columns)
    requests, changes = [], []
    if body is not None:
        requests.append(f"PUT /{name}\n{json.dumps(body, indent=2, ensure_ascii=False)}")
    if current != name:
        changes.append(f"fill index {name}" + (f" beside {current}" if current else ""))
        requests.append(f"POST /_aliases\n{json.dumps({'actions': index.switch(name, current)}, indent=2)}")
    empty = body is not None or client.call("GET", f"/{name}/_count")["count"] == 0
    return Foreseen(
        exists=body is None,
        empty=empty,
        refill=current != name,
        physical=name,
        changes=tuple(changes),
        statements=tuple(requests),
        writes=(f"POST /{name}/_bulk: index each document that is missing or differs", f"POST /{name}/_bulk: delete each orphan"),
    )
