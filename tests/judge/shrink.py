"""Makes a failing run small: hypothesis would try for minutes what a list of plain actions allows in one."""

from __future__ import annotations

import time

from tests.judge.line import Servers
from tests.judge.world import played

BOUND = 180.0  # seconds


def failure_of(servers: Servers, told: str) -> Exception | None:
    """Plays a run; returns what it ends with, None where it ends equal."""
    try:
        with played(servers, told):
            return None
    except Exception as err:  # noqa: BLE001 - the caller compares kinds of failure
        return err


def smallest(servers: Servers, told: str, *, bound: float = BOUND) -> str:
    """Leaves out actions, many at once and then one by one, as long as the run fails in the same way.

    Args:
        servers: to run on.
        told: a run as `World.told` wrote it.
        bound: seconds to try.

    Returns:
        The shortest run found; `told` itself where it does not fail again.
    """
    variant, *actions = [line for line in told.splitlines() if line.strip()]
    first = failure_of(servers, told)
    if first is None:
        return told
    end = time.monotonic() + bound
    size = max(len(actions) // 2, 1)
    while True:
        before = len(actions)
        start = 0
        while start < len(actions) and time.monotonic() < end:
            fewer = actions[:start] + actions[start + size :]
            if type(failure_of(servers, "\n".join([variant, *fewer]))) is type(first):
                actions = fewer
            else:
                start += size
        if time.monotonic() >= end or (size == 1 and len(actions) == before):
            return "\n".join([variant, *actions])
        size = max(size // 2, 1)
