"""The fastest way into Elasticsearch that was found: raw `_bulk` bodies of 5 MB, two in flight, refresh off during a load."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import orjson
import urllib3

from benchmarks.processes import CommandError
from querymirror.connections import Address
from querymirror.targets.es_client import Client

BODY_BYTES = 5_000_000
IN_FLIGHT = 2
_HEADERS = {"content-type": "application/x-ndjson"}


async def bodies_of(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Cuts a stream of line pairs into bodies of whole pairs."""
    buffer = bytearray()
    async for data in lines:
        buffer += data
        if len(buffer) >= BODY_BYTES:
            end = buffer.rfind(b"\n")
            if buffer.count(b"\n") % 2:
                end = buffer.rfind(b"\n", 0, end)
            if end > 0:
                yield bytes(buffer[: end + 1])
                del buffer[: end + 1]
    if buffer:
        yield bytes(buffer)


class BaselineIndex:
    """An index that is written by hand.

    Args:
        address: the cluster.
        name: of the index.
        config: settings and mappings, the same as the pipeline's.
    """

    def __init__(self, address: Address, name: str, config: dict[str, Any]) -> None:
        self.client = Client(address)
        self._name, self._config = name, config
        self._http = urllib3.HTTPConnectionPool(address.host, address.port, maxsize=IN_FLIGHT)

    def create(self) -> None:
        """Makes the index anew, its refresh off."""
        self.client.call("DELETE", f"/{self._name}", missing_ok=True)
        self.client.call("PUT", f"/{self._name}", self._config)
        self.client.call("PUT", f"/{self._name}/_settings", {"index": {"refresh_interval": "-1"}})

    def publish(self) -> None:
        """Makes the documents visible and turns the refresh on."""
        self.client.call("POST", f"/{self._name}/_refresh")
        self.client.call("PUT", f"/{self._name}/_settings", {"index": {"refresh_interval": None}})

    def drop_behind(self, alias: str) -> None:
        """Drops the indices behind an alias, where there are any."""
        for index in self.client.call("GET", f"/_alias/{alias}", missing_ok=True) or ():
            self.client.call("DELETE", f"/{index}")

    def count(self) -> int:
        """Counts the documents."""
        return int(self.client.call("GET", f"/{self._name}/_count")["count"])

    def push(self, bodies: Iterable[bytes]) -> int:
        """Sends bodies that are there; returns how many documents they held."""

        async def given() -> AsyncIterator[bytes]:
            for body in bodies:
                yield body

        return asyncio.run(self._push(given()))

    def push_lines(self, lines: AsyncIterator[bytes]) -> int:
        """Sends lines while they come; returns how many documents they held."""
        return asyncio.run(self._push(bodies_of(lines)))

    async def _push(self, bodies: AsyncIterator[bytes]) -> int:
        sent, tasks = 0, set[asyncio.Task[None]]()
        async for body in bodies:
            if len(tasks) >= IN_FLIGHT:
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            tasks.add(asyncio.create_task(asyncio.to_thread(self._send, body)))
            sent += body.count(b"\n") // 2
        await asyncio.gather(*tasks)
        return sent

    def _send(self, body: bytes) -> None:
        answer = self._http.request("POST", f"/{self._name}/_bulk?filter_path=errors", body=body, headers=_HEADERS)
        if answer.status >= 300 or orjson.loads(answer.data).get("errors"):  # noqa: PLR2004 - HTTP
            message = f"_bulk into {self._name} failed with status {answer.status}: {answer.data[:500]!r}"
            raise CommandError(message)
