"""Reads what a query's plan says: its base tables, and how its rows hang together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

# Nodes over which a row of the result depends on other rows than those joined to it.
_RESHUFFLING = {"WindowAgg", "Limit", "Unique", "SetOp", "Recursive Union", "WorkTable Scan", "Sample Scan"}
_NARROWING = ("Filter", "Index Cond", "Recheck Cond", "Join Filter", "One-Time Filter", "TID Cond")


# As the server spells them in a plan; with them a row can enter, leave or change while nothing is written.
_RESTLESS = re.compile(
    r"\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|random|random_normal|gen_random_uuid|uuidv4|uuidv7|nextval|txid_current|"
    r"pg_current_xact_id)\(|\b(CURRENT_DATE|CURRENT_TIME|CURRENT_TIMESTAMP|LOCALTIME|LOCALTIMESTAMP)\b"
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
