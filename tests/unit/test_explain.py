"""What a plan tells: tables, and how rows hang together."""

from __future__ import annotations

from typing import Any

import pytest

from querymirror.sources.explain import filtered, reshuffles, restless, scans


def scan(name: str = "film", **more: Any) -> dict[str, Any]:
    """Returns a table scan's node."""
    return {"Node Type": "Seq Scan", "Schema": "content", "Relation Name": name, **more}


def test_counts_each_scan() -> None:
    """A table joined with itself is read twice; a bitmap index scan names no table."""
    bitmap = {"Node Type": "Bitmap Heap Scan", "Schema": "content", "Relation Name": "link", "Plans": [{"Node Type": "Bitmap Index Scan", "Index Name": "i"}]}
    plan = {"Node Type": "Hash Join", "Plans": [scan(), {"Node Type": "Hash", "Plans": [scan()]}, bitmap]}
    assert scans(plan) == {("content", "film"): 2, ("content", "link"): 1}


@pytest.mark.parametrize("node", ["WindowAgg", "Limit", "Unique", "SetOp"])
def test_rows_that_hang_together(node: str) -> None:
    """A row can change because another one did."""
    assert reshuffles({"Node Type": node, "Plans": [scan()]})
    assert not reshuffles({"Node Type": "Aggregate", "Plans": [scan()]})


def test_narrowed_rows() -> None:
    """A filter or a join lets a changed row leave the result."""
    assert filtered(scan(Filter="(a > 1)"))
    assert filtered({"Node Type": "Hash Join", "Join Type": "Inner", "Plans": [scan(), scan("link")]})
    assert not filtered({"Node Type": "Sort", "Plans": [scan()]})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(updated_at > (now() - '1 day'::interval))", "now"),
        ("(day = CURRENT_DATE)", "CURRENT_DATE"),
        ("(random() < '0.5'::double precision)", "random"),
        ("(knownow(id) > 1)", ""),
        ("(id > 1)", ""),
    ],
)
def test_functions_that_move_by_themselves(text: str, expected: str) -> None:
    """A query whose result moves while no table does is told by the function's name."""
    assert restless({"Node Type": "Result", "Output": ["x"], "Plans": [scan(Filter=text)]}) == expected
