"""Sends a stream of action and document lines as `_bulk` bodies, and looks at the result of every document.

Bodies of about 5 MB, two in flight, were the fastest in the measurements; larger ones are slower and fill the heap.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import orjson

from querymirror.errors import TransientError
from querymirror.records import Reject
from querymirror.targets.es_client import Client

BODY_BYTES = 5_000_000
BODY_LINES = 20_000  # two a document; small documents cost a worker's memory by their number, not by their bytes
IN_FLIGHT = 2
ATTEMPTS = 6  # of a body that the cluster pushes back with 429; 0.25 s doubled each time
MAX_REJECTS = 10_000
MAX_ID = 512  # bytes
SAMPLE_KEYS = 20  # documents named that differed
LOOKED_AT = 64  # one document in so many is compared before the rest of a body; at 16 a cycle of 15,659 changed ones took 2.5 s instead of 2.2
MOST = 0.95  # share of the sample
WORTH_LOOKING = 1_000  # documents of a body from which on that is done
_CONFLICT, _BUSY, _OK = 409, 429, 300


async def bodies(stream: AsyncIterator[bytes], size: int = BODY_BYTES) -> AsyncIterator[bytes]:
    """Cuts a stream of line pairs into bodies, each of whole pairs."""
    buffer, lines = bytearray(), 0
    async for data in stream:
        buffer += data
        lines += data.count(b"\n")
        if len(buffer) < size and lines < BODY_LINES:
            continue
        end = buffer.rfind(b"\n")
        if lines % 2:
            end = buffer.rfind(b"\n", 0, end)
        if end > 0:
            yield bytes(buffer[: end + 1])
            del buffer[: end + 1]
            lines %= 2
    if buffer:
        yield bytes(buffer)


@dataclass
class BulkLoad:
    """One batch on its way into one index.

    Attributes:
        index: the physical index.
        compare: whether documents are compared with those that are there before they are sent (cheaper than writing them again).
        clock: the source's time in microseconds.
        run_id: for dead letters.
        exact: whether every document is compared; otherwise a body of which nearly all of a sample differs is sent without a further look.
    """

    client: Client
    index: str
    compare: bool
    clock: Callable[[], int]
    run_id: str
    exact: bool = True
    counts: Counter[str] = field(default_factory=Counter)
    rejects: list[Reject] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)

    async def run(self, stream: AsyncIterator[bytes]) -> None:
        """Sends everything; returns when every document's result is known."""
        tasks: set[asyncio.Task[None]] = set()
        try:
            async for body in bodies(stream):
                if len(tasks) >= IN_FLIGHT:
                    done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()
                tasks.add(asyncio.create_task(asyncio.to_thread(self._send, body)))
            for task in tasks:
                await task
        finally:
            await asyncio.gather(*tasks, return_exceptions=True)

    def _send(self, body: bytes) -> None:
        lines = body.split(b"\n")
        pairs = list(zip(lines[0::2], lines[1::2], strict=False))
        self.counts["read"] += len(pairs)
        pairs = [pair for pair in pairs if self._can_have_id(pair)]
        if self.compare and (self.exact or not self._nearly_all_differ(pairs)):
            pairs = self._without_equal(pairs)
        self._write(pairs)

    def _can_have_id(self, pair: tuple[bytes, bytes]) -> bool:
        """Keeps a row aside whose id no document may have: one of these would make Elasticsearch refuse all of the body."""
        suspect = len(pair[0]) > MAX_ID or b'"_id" : ""' in pair[0] or b'"_id" : null' in pair[0]
        document_id = orjson.loads(pair[0])["index"]["_id"] if suspect else "fits"
        if document_id and len(document_id.encode()) <= MAX_ID:
            return True
        reason = f"its id is too long, {len(document_id.encode())} bytes of at most {MAX_ID}" if document_id else "its id is empty"
        self.rejects.append(Reject(key=document_id or "", row=pair[1].decode(), reason=reason, run_id=self.run_id))
        return False

    def _nearly_all_differ(self, pairs: list[tuple[bytes, bytes]]) -> bool:
        """Looks at documents spread over a body: reading all costs as much as writing the few that turn out equal."""
        sample = pairs[::LOOKED_AT] if len(pairs) >= WORTH_LOOKING else []
        return bool(sample) and len(self._differing(sample)) >= len(sample) * MOST

    def _differing(self, pairs: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        ids = [orjson.loads(action)["index"]["_id"] for action, _ in pairs]
        there = self.client.documents(self.index, ids)
        return [pair for pair, doc in zip(pairs, there, strict=True) if not doc.found or bytes(doc.source) != pair[1]]

    def _without_equal(self, pairs: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        changed = self._differing(pairs)
        self.counts["unchanged"] += len(pairs) - len(changed)
        self.samples += [orjson.loads(action)["index"]["_id"] for action, _ in changed[: max(SAMPLE_KEYS - len(self.samples), 0)]]
        return changed

    def _write(self, pairs: list[tuple[bytes, bytes]]) -> None:
        for attempt in range(ATTEMPTS):
            if not pairs:
                return
            if attempt:
                _wait(attempt)
            results = self.client.bulk(self.index, b"\n".join([*chain.from_iterable(pairs), b""]))
            busy, conflicts = [], []
            for pair, result in zip(pairs, results, strict=True):
                if result["status"] == _BUSY:
                    busy.append(pair)
                elif result["status"] == _CONFLICT:
                    conflicts.append(pair)
                else:
                    self._count(pair, result)
            pairs = busy + self._after_conflict(conflicts)
        message = f"{self.index}: Elasticsearch pushed {len(pairs)} document(s) back {ATTEMPTS} times (429)."
        raise TransientError(message, fix="It is overloaded; the next attempt sends them again.")

    def _count(self, pair: tuple[bytes, bytes], result: dict[str, Any]) -> None:
        if result["status"] < _OK:
            self.counts["upserted"] += 1
            return
        error = result.get("error", {})
        reason = ": ".join(part for part in (error.get("reason"), error.get("caused_by", {}).get("reason")) if part) or str(result)
        document_id = orjson.loads(pair[0])["index"]["_id"]
        self.rejects.append(Reject(key=document_id, row=pair[1].decode(), reason=reason, run_id=self.run_id))
        if len(self.rejects) > MAX_REJECTS:
            message = f"{self.index}: more than {MAX_REJECTS} documents of one batch were refused; the last: {reason}."
            raise TransientError(message, fix="The mapping does not fit the query.")

    def _after_conflict(self, pairs: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """A document that was read later is there already, and stays; unless it claims to come from the source's future.

        Then the source's clock went back (another server took over), and the document is written over its claim.
        """
        if not pairs:
            return []
        ids = [orjson.loads(action)["index"]["_id"] for action, _ in pairs]
        found = self.client.call("POST", f"/{self.index}/_mget", {"ids": ids}, params={"_source": "false"})
        now = self.clock()
        again = []
        for (action, document), there in zip(pairs, found["docs"], strict=True):
            if there.get("_version", 0) > now:
                head = orjson.loads(action)
                head["index"]["version"] = there["_version"]
                again.append((orjson.dumps(head), document))
            else:
                self.counts["unchanged"] += 1
        return again


def _wait(attempt: int) -> None:
    time.sleep(0.25 * 2 ** (attempt - 1) * (0.75 + random.random() / 2))  # noqa: S311 - spreads retries, no secret
