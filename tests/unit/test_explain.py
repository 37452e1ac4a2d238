"""What a plan tells: tables, and how rows hang together."""

from __future__ import annotations

from typing import Any

import pytest

from querymirror.sources.explain import filling, filtered, reshuffles, restless, scans


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


FILM, LINK = ("content", "film"), ("content", "link")


def child(role: str, node: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Returns a node as the child of another."""
    return {**node, "Parent Relationship": role, **more}


def join(kind: str, outer: dict[str, Any], inner: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Returns a join's node."""
    return {"Node Type": "Nested Loop", "Join Type": kind, "Plans": [child("Outer", outer), child("Inner", inner)], **more}


def aggregate(node: dict[str, Any], strategy: str = "Plain", **more: Any) -> dict[str, Any]:
    """Returns an aggregate over a node."""
    return {"Node Type": "Aggregate", "Strategy": strategy, "Partial Mode": "Simple", "Plans": [child("Outer", node)], **more}


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        pytest.param(join("Left", scan(), scan("link", Filter="(a)"), **{"Hash Cond": "(x)"}), {LINK}, id="side that may be missing"),
        pytest.param(join("Right", scan("link"), scan()), {LINK}, id="the same turned round"),
        pytest.param(join("Left", scan(), scan("link"), Filter="(link.a)"), set(), id="asked after the join"),
        pytest.param(join("Inner", scan(), scan("link")), set(), id="a join that may drop rows"),
        pytest.param(join("Anti", scan(), scan("link")), set(), id="rows without a partner"),
        pytest.param(join("Full", scan(), scan("link")), set(), id="rows of either side"),
        pytest.param(join("Inner", scan(), aggregate(scan("link"))), {LINK}, id="one row for each"),
        pytest.param(join("Inner", scan(), {"Node Type": "Memoize", "Plans": [child("Outer", aggregate(scan("link")))]}), {LINK}, id="one row, kept"),
        pytest.param(join("Inner", scan(), aggregate(scan("link")), **{"Join Filter": "(a)"}), set(), id="one row, asked"),
        pytest.param(join("Inner", scan(), aggregate(scan("link"), Filter="(count(*) > 1)")), set(), id="one row or none"),
        pytest.param(join("Inner", scan(), aggregate(scan("link"), "Hashed", **{"Group Key": ["link.a"]})), set(), id="as many rows as groups"),
        pytest.param(join("Inner", scan(), aggregate(scan("link"), **{"Partial Mode": "Partial"})), set(), id="one row a process"),
        pytest.param(aggregate(join("Left", scan(), scan("link")), "Sorted", **{"Group Key": ["film.id"]}), {LINK}, id="grouped"),
        pytest.param(aggregate(join("Left", scan(), scan("link")), "Sorted", Filter="(count(*) > 1)"), set(), id="HAVING"),
        pytest.param(aggregate(join("Left", scan(), scan("link")), "Sorted", **{"Grouping Sets": []}), set(), id="grouping sets"),
        pytest.param(join("Left", scan("genre"), join("Left", scan(), scan("link"))), {FILM, LINK}, id="nested, missing together"),
        pytest.param(join("Inner", join("Left", scan(), scan("link")), scan("genre")), set(), id="what may be missing is joined with"),
        pytest.param(join("Left", join("Left", scan(), scan("link")), scan("genre")), {LINK, ("content", "genre")}, id="two of them"),
        pytest.param(scan(Plans=[child("SubPlan", scan("link"))]), {LINK}, id="in the select list"),
        pytest.param(scan(Filter="EXISTS(SubPlan 1)", Plans=[child("SubPlan", scan("link"))]), set(), id="in WHERE"),
        pytest.param(
            {"Node Type": "Subquery Scan", "Filter": "(q.n > 1)", "Plans": [child("Subquery", join("Left", scan(), scan("link")))]}, set(), id="asked above"
        ),
        pytest.param({"Node Type": "ProjectSet", "Plans": [child("Outer", join("Left", scan(), scan("link")))]}, set(), id="a row an element"),
        pytest.param({"Node Type": "Append", "Plans": [child("Member", join("Left", scan(), scan("link")))]}, set(), id="UNION ALL"),
        pytest.param(join("Left", scan(), scan("link", Plans=[child("InitPlan", scan("genre"))])), set(), id="a result read anywhere"),
    ],
)
def test_tables_that_only_fill_columns(plan: dict[str, Any], expected: set[tuple[str, str]]) -> None:
    """A table counts as filling only where the plan proves that no row depends on it."""
    assert filling(plan) == expected
