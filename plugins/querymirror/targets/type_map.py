"""Pure tables: in which type a column travels, and which changes of a type are safe."""

from __future__ import annotations

import re

_MODIFIER = re.compile(r"\([^)]*\)")

# Casting to one of these with its length would cut a value short without a word; the length is checked where it is stored.
_UNBOUNDED = {"character varying": "character varying", "character": "text", "bit varying": "bit varying", "bit": "bit varying"}

# Each type and those that hold all of its values.
_WIDER = {
    "smallint": {"integer", "bigint", "numeric", "text"},
    "integer": {"bigint", "numeric", "text"},
    "bigint": {"numeric", "text"},
    "real": {"double precision"},
    "character varying": {"text", "character varying"},
    "character": {"text", "character varying"},
    "date": set(),
    "numeric": set(),
}

_BINARY_SAFE = re.compile(
    r"^(smallint|integer|bigint|oid|boolean|real|double precision|numeric(\(.*\))?|text|character varying|bytea|uuid|date|jsonb?|bit varying|"
    r"timestamp(\(\d\))? with(out)? time zone|time(\(\d\))? with(out)? time zone|interval.*|inet|cidr|macaddr8?|money|"
    r"(int4|int8|num|ts|tstz|date)(multi)?range|point|line|lseg|box|path|polygon|circle|xml|tsvector|tsquery|pg_lsn)(\[\])?$"
)


def base_name(type_name: str) -> str:
    """Returns a type without its modifier: `numeric(12,2)` -> `numeric`."""
    return " ".join(_MODIFIER.sub("", type_name).split())


def unbounded(type_name: str) -> str:
    """Returns the type in which a value keeps its whole length on the way."""
    array = "[]" if type_name.endswith("[]") else ""
    name = base_name(type_name.removesuffix("[]"))
    return _UNBOUNDED[name] + array if name in _UNBOUNDED else type_name


def binary_safe(type_name: str) -> bool:
    """Whether a type's binary form is the same in every supported PostgreSQL."""
    return bool(_BINARY_SAFE.match(type_name))


def widens(old: str, new: str) -> bool:
    """Whether every value of `old` is a value of `new`, so that a target column may be altered from one to the other."""
    old_name, new_name = base_name(old), base_name(new)
    old_size, new_size = _size(old), _size(new)
    if old_name in {"bit", "bit[]"}:
        return old_size == new_size  # of one length only, as PostgreSQL refuses any other
    if old_name == new_name:
        if new_size is None:
            return True
        if old_size is None or len(old_size) != len(new_size):
            return False
        whole_part_fits = old_name != "numeric" or new_size[0] - new_size[-1] >= old_size[0] - old_size[-1]
        return whole_part_fits and all(n >= o for o, n in zip(old_size, new_size, strict=True))
    return new_name in _WIDER.get(old_name, set()) and new_size is None


def _size(type_name: str) -> tuple[int, ...] | None:
    found = re.search(r"\(([\d,\s]+)\)", type_name)
    return tuple(int(part) for part in found.group(1).split(",")) if found else None
