"""COPY streams: one at a time, or several joined into one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

_HEADER = 19  # bytes: signature, flags, length of the (empty) extension
_TRAILER = b"\xff\xff"
_EMPTY = b"PGCOPY\n\xff\r\n\0" + bytes(8)


async def copy_out(conn: asyncpg.Connection, query: str, **options: Any) -> AsyncIterator[bytes]:
    """Yields what COPY (query) TO gives, as it comes; a read that breaks off raises, it never just ends."""
    queue: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=16)

    async def feed() -> None:
        try:
            await conn.copy_from_query(query, output=queue.put, **options)
        finally:
            await queue.put(None)

    task = asyncio.create_task(feed())
    try:
        while (data := await queue.get()) is not None:
            yield data
        await task
    finally:
        if not task.done():
            task.cancel()
            while not queue.empty():  # makes room for the end mark, which `feed` still puts
                queue.get_nowait()
            # The reader stopped early: whatever the cancelled COPY says is of no more use.
            await asyncio.gather(task, return_exceptions=True)


async def joined_binary(parts: AsyncIterator[AsyncIterator[bytes]]) -> AsyncIterator[bytes]:
    """Joins several binary COPY streams into one: the first one's header, all rows, one trailer."""
    first, trailer = True, _EMPTY + _TRAILER
    async for part in parts:
        skip, held = (0 if first else _HEADER), b""
        async for data in part:
            chunk = held + data
            if skip:
                skip, chunk = max(skip - len(chunk), 0), chunk[skip:]
            held = chunk[-len(_TRAILER) :]
            if len(chunk) > len(_TRAILER):
                yield chunk[: -len(_TRAILER)]
        first, trailer = False, held
    yield trailer


async def joined_text(parts: AsyncIterator[AsyncIterator[bytes]]) -> AsyncIterator[bytes]:
    """Joins several text streams into one."""
    async for part in parts:
        async for data in part:
            yield data
