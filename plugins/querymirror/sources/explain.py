"""Reads what a query's plan says: its base tables, and how its rows hang together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from querymirror.facts import QueryFacts

# Nodes over which a row of the result depends on other rows than those joined to it.
_RESHUFFLING = {"WindowAgg", "Limit", "Unique", "SetOp", "Recursive Union", "WorkTable Scan", "Sample Scan"}
_NARROWING = ("Filter", "Index Cond", "Recheck Cond", "Join Filter", "One-Time Filter", "TID Cond")


# Nodes that return the rows of their one child, as many or those of each key once.
_PASSING = {"Aggregate", "Group", "Sort", "Incremental Sort", "Materialize", "Memoize", "Hash", "Gather", "Gather Merge", "Subquery Scan", "Result"}

# As the server spells them in a plan; with them a row can enter, leave or change while nothing is written.
_RESTLESS = re.compile(
    r"\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|random|random_normal|gen_random_uuid|uuidv4|uuidv7|nextval|txid_current|"
    r"pg_current_xact_id)\(|\b(CURRENT_DATE|CURRENT_TIME|CURRENT_TIMESTAMP|LOCALTIME|LOCALTIMESTAMP)\b"
)


def facts(plan: Mapping[str, Any], oids: Mapping[tuple[str, str], int]) -> QueryFacts:
    """Returns what a plan tells; `oids` are those of the tables it scans."""
    names, fills = scans(plan), filling(plan)
    return QueryFacts(
        scans={oid: names[name] for name, oid in oids.items()},
        reshuffles=reshuffles(plan),
        filtered=filtered(plan),
        filling=frozenset(oid for name, oid in oids.items() if name in fills),
        restless=restless(plan),
        rows=plan.get("Plan Rows", 0),
    )


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yields every node of an EXPLAIN (FORMAT JSON) plan, the top one first."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def scans(plan: Mapping[str, Any]) -> Counter[tuple[str, str]]:
    """Counts how often each (schema, table) is scanned; a bitmap scan's index part names no table and isn't counted."""
    return Counter((n["Schema"], n["Relation Name"]) for n in nodes(plan) if "Relation Name" in n and "Schema" in n)


def reshuffles(plan: Mapping[str, Any]) -> bool:
    """Whether a row can change because another row of the same table did."""
    return any(n["Node Type"] in _RESHUFFLING for n in nodes(plan))


def filtered(plan: Mapping[str, Any]) -> bool:
    """Whether anything narrows the rows, so that a changed row can leave the result."""
    every = list(nodes(plan))
    return any(key in n for n in every for key in _NARROWING) or any("Join Type" in n for n in every)


def restless(plan: Mapping[str, Any]) -> str:
    """Returns a function whose answer moves by itself, as the plan spells it; empty = there is none."""
    texts = (text for node in nodes(plan) for key, value in node.items() if key != "Plans" for text in _texts(value))
    return next((found.group(0).removesuffix("(") for found in map(_RESTLESS.search, texts) if found), "")


def _texts(value: object) -> list[str]:
    return [str(v) for v in value] if isinstance(value, list) else [value] if isinstance(value, str) else []


def filling(plan: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Returns the (schema, table) that only fill columns: no value and no row in them decides whether the result has a row of some key.

    That is so on the side of an outer join that may be missing, below an aggregate that always gives one row, and in a sub-select of the select
    list, as long as nothing above asks for what came from there. Whatever the plan does not prove is left out.
    """
    if any(n.get("Parent Relationship") == "InitPlan" for n in nodes(plan)):
        return set()  # its result may be read anywhere in the plan
    return _filling(plan)


def _filling(node: Mapping[str, Any]) -> set[tuple[str, str]]:
    children = {role: [c for c in node.get("Plans", ()) if c.get("Parent Relationship") == role] for role in ("Outer", "Inner", "Subquery", "SubPlan")}
    conditions = {key: str(value) for key, value in node.items() if key.endswith(("Cond", "Filter"))}
    selected = set().union(*(scans(c) for c in children["SubPlan"]))
    if any("SubPlan" in text for text in conditions.values()):
        return set()
    if "Relation Name" in node:
        return selected if not children["Outer"] or node["Node Type"] == "Bitmap Heap Scan" else set()
    rows = [*children["Outer"], *children["Subquery"], *children["Inner"]]
    if len(rows) == 1 and node["Node Type"] in _PASSING and not conditions and "Grouping Sets" not in node:
        return selected | (set(scans(rows[0])) if _one_row(node) else _filling(rows[0]))
    kept, added = _kept_and_added(node, children["Outer"], children["Inner"], conditions)
    return selected | _filling(kept) | set(scans(added)) if kept and added else set()


def _kept_and_added(node: Mapping[str, Any], outer: list[Any], inner: list[Any], conditions: Mapping[str, str]) -> tuple[Any, Any]:
    """Returns the side of a join whose rows all stay, each once, and the other; nothing for other joins."""
    if len(outer) != 1 or len(inner) != 1 or "Filter" in conditions:
        return None, None
    if node.get("Join Type") == "Left":
        return outer[0], inner[0]
    if node.get("Join Type") == "Right":
        return inner[0], outer[0]
    if node.get("Join Type") == "Inner" and not conditions and _one_row(inner[0]):
        return outer[0], inner[0]
    return None, None


def _one_row(node: Mapping[str, Any]) -> bool:
    """Whether a node returns exactly one row, whatever it reads."""
    if any(key.endswith(("Cond", "Filter")) for key in node):
        return False
    if node["Node Type"] == "Aggregate":
        return node.get("Strategy") == "Plain" and node.get("Partial Mode", "Simple") != "Partial" and "Grouping Sets" not in node
    children = [c for c in node.get("Plans", ()) if c.get("Parent Relationship") in {"Outer", "Subquery"}]
    return len(children) == 1 and node["Node Type"] in _PASSING - {"Group"} and _one_row(children[0])
