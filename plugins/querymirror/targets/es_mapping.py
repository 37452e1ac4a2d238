"""A mapping for a query whose spec names none; pure tables."""

from __future__ import annotations

from collections.abc import Sequence
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
