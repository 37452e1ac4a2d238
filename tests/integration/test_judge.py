"""The judge's quick profile: random writes, transactions, crashes and cycles; after quiet both targets are equal to the query."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.judge.line import Servers
from tests.judge.machine import Tally, judge
from tests.judge.shrink import failure_of, smallest
from tests.judge.world import Unequal

pytestmark = pytest.mark.integration

TABLES = {"examples": 9, "steps": 30}
INDICES = {"examples": 6, "steps": 25}


@pytest.mark.parametrize("elastic", [pytest.param(False, id="tables"), pytest.param(True, id="tables and indices")])
def test_random_runs_end_equal(judge_servers: Servers, tmp_path: Path, elastic: bool) -> None:
    """Whatever happens, after quiet one or at most two cycles end equal, and the cycle after them finds nothing to do."""
    tally = Tally()
    size = INDICES if elastic else TABLES
    judge(judge_servers, tmp_path, tally, examples=size["examples"], steps=size["steps"], number=None, elastic=elastic)
    assert tally.worlds >= size["examples"]
    assert tally.steps > size["examples"] * 20


def test_judge_notices_a_target_that_is_not_equal(judge_servers: Servers) -> None:
    """A target that differs where the state says it does not: the judge says which row is missing and which is too many."""
    rows = ['{"action": "write", "verb": "insert_many", "pick": 1}', '{"action": "settle"}', '{"action": "write", "verb": "insert", "pick": 2}']
    run = "\n".join(['{"cursor": "timestamptz"}', *rows, '{"action": "settle"}', '{"action": "forge", "line": 0}'])
    ended = failure_of(judge_servers, run)
    assert isinstance(ended, Unequal)
    assert "missing" in str(ended)
    assert "too many" in str(ended)
    assert len(smallest(judge_servers, run).splitlines()) == 4, "the second insert and one of the two quiet moments are not needed"
