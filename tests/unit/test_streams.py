"""Streams joined and cut: no byte lost, whatever the sizes of the pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from querymirror.sources.copying import joined_binary
from querymirror.targets import es_bulk

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    """Yields data in pieces of a size."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def collected(stream: AsyncIterator[bytes]) -> list[bytes]:
    """Returns all that a stream yields."""
    return [data async for data in stream]


@given(parts=st.lists(st.binary(max_size=60), max_size=4), size=st.integers(min_value=1, max_value=40))
def test_binary_copies_join_into_one(parts: list[bytes], size: int) -> None:
    """One header, all rows, one trailer; no part at all is still a valid, empty copy."""

    async def streams() -> AsyncIterator[AsyncIterator[bytes]]:
        for rows in parts:
            yield pieces(HEADER + rows + TRAILER, size)

    joined = b"".join(asyncio.run(collected(joined_binary(streams()))))
    assert joined == HEADER + b"".join(parts) + TRAILER


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_bodies_hold_whole_pairs(size: int) -> None:
    """A bulk body never ends between an action and its document, whatever the pieces the lines come in."""
    lines = b"".join(b'{"index":{"_id":"%d"}}\n{"v":"%s"}\n' % (i, b"x" * (i * 13 % 70)) for i in range(40))
    bodies = asyncio.run(collected(es_bulk.bodies(pieces(lines, size), 100)))
    assert b"".join(bodies) == lines
    assert all(body.count(b"\n") % 2 == 0 and body.endswith(b"\n") for body in bodies)


def test_small_documents_are_cut_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body of tiny documents ends long before its bytes do, so that a worker's memory does not grow with their smallness."""
    monkeypatch.setattr(es_bulk, "BODY_LINES", 6)
    lines = b"".join(b"{}\n[%d]\n" % number for number in range(10))
    bodies = asyncio.run(collected(es_bulk.bodies(pieces(lines, 9))))
    assert b"".join(bodies) == lines
    assert max(body.count(b"\n") for body in bodies) <= 8
    assert all(body.count(b"\n") % 2 == 0 for body in bodies)
