"""In which type a value travels, and which columns may be widened."""

from __future__ import annotations

import pytest

from querymirror.targets.type_map import base_name, binary_safe, unbounded, widens


@pytest.mark.parametrize(
    ("old", "new", "safe"),
    [
        ("integer", "bigint", True),
        ("bigint", "integer", False),
        ("character varying(10)", "character varying(20)", True),
        ("character varying(20)", "character varying(10)", False),
        ("character varying(20)", "text", True),
        ("numeric(10,2)", "numeric(12,2)", True),
        ("numeric(10,2)", "numeric(10,4)", False),
        ("numeric(10,2)", "numeric(12,4)", True),
        ("numeric(10,2)", "numeric", True),
        ("numeric", "numeric(10,2)", False),
        ("text", "integer", False),
        ("real", "double precision", True),
    ],
)
def test_widening(old: str, new: str, safe: bool) -> None:
    """A column is altered only where every value it can hold fits the new type."""
    assert widens(old, new) is safe


@pytest.mark.parametrize(
    ("given", "travels"),
    [
        ("character varying(3)", "character varying"),
        ("character varying(3)[]", "character varying[]"),
        ("character(3)", "text"),
        ("bit(3)", "bit varying"),
        ("numeric(12,2)", "numeric(12,2)"),
        ("timestamp(3) with time zone", "timestamp(3) with time zone"),
    ],
)
def test_no_cast_cuts_a_value_short(given: str, travels: str) -> None:
    """A cast to a type with a length would cut silently; the value travels without it and is checked where it is stored."""
    assert unbounded(given) == travels


def test_binary_only_for_types_that_are_the_same_everywhere() -> None:
    """Types of extensions and of users travel as text."""
    assert all(binary_safe(t) for t in ("bigint", "numeric(12,2)", "uuid[]", "timestamp with time zone", "jsonb", "int4range"))
    assert not any(binary_safe(t) for t in ("hstore", "citext", "mood", "content.film"))


def test_base_name() -> None:
    """A modifier may stand inside the name."""
    assert base_name("timestamp(3) with time zone") == "timestamp with time zone"
