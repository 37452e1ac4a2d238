"""A mapping for a query whose spec names none; pure tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from querymirror.facts import Column
from querymirror.targets.type_map import base_name

DELETED_AT = "deleted_at"  # set by delete_missing: soft

_FIELDS: dict[str, dict[str, Any]] = {
    "smallint": {"type": "short"},
    "integer": {"type": "integer"},
    "bigint": {"type": "long"},
    "real": {"type": "float"},
    "double precision": {"type": "double"},
    "numeric": {"type": "double"},
    "boolean": {"type": "boolean"},
    "date": {"type": "date"},
    "timestamp with time zone": {"type": "date"},
    "timestamp without time zone": {"type": "date"},
    "uuid": {"type": "keyword"},
    "inet": {"type": "ip"},
    "bytea": {"type": "binary"},
    "json": {"type": "object", "enabled": False},
    "jsonb": {"type": "object", "enabled": False},
    "text": {"type": "text", "fields": {"raw": {"type": "keyword", "ignore_above": 8191}}},
    "character varying": {"type": "text", "fields": {"raw": {"type": "keyword", "ignore_above": 8191}}},
}
_OTHER = {"type": "keyword", "ignore_above": 8191}


def generated_mapping(columns: Sequence[Column], omit: Sequence[str]) -> dict[str, Any]:
    """Returns settings and a strict mapping made from column types; an array is mapped as its elements are."""
    properties = {c.name: _field(c) for c in columns if c.name not in omit}
    return {"settings": {}, "mappings": {"dynamic": "strict", "properties": properties}}


def _field(column: Column) -> dict[str, Any]:
    return _FIELDS["json"] if column.nested else _FIELDS.get(base_name(column.type.removesuffix("[]")), _OTHER)


def mapping_changes(columns: Sequence[Column], omit: Sequence[str], there: Mapping[str, Any], index: str) -> list[str]:
    """Returns in words what a generated mapping adds or changes to the fields of an index."""
    stored = [c for c in columns if c.name not in omit]
    said = [f"the query has column {c.name!r} ({c.type}), {index} lacks it" for c in stored if c.name not in there]
    types = [(c, there[c.name].get("type", "object")) for c in stored if c.name in there]
    return said + [f"column {c.name!r} is {c.type} in the query and {found} in {index}" for c, found in types if found != _field(c)["type"]]


def unmapped(config: Mapping[str, Any], columns: Sequence[Column]) -> list[Column]:
    """Returns the columns that a mapping given by the spec would refuse: it is strict and lacks them."""
    mappings = config.get("mappings", {})
    known = mappings.get("properties", {})
    strict = mappings.get("dynamic") == "strict"
    return [c for c in columns if strict and c.name not in known and c.name.split(".")[0] not in known]
