"""SQL expressions that hash rows and keys the same way in two databases.

A bucket's checksum is `count(*), bit_xor(hash)`: it does not depend on the order of rows and finds a row that is missing, extra or
different. Content is hashed by exact image: where a type's own hash calls different images equal (numeric 1.0 and 1.00, citext, -0.0),
its text or its wire form is hashed instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from psycopg import sql

# Types whose hash tells apart all that their text tells apart.
_EXACT = {"smallint", "integer", "bigint", "boolean", "date", "uuid", "bytea", "oid"}
_EXACT_PREFIX = ("timestamp", "time without", "time(")
_TEXT = ("text", "character varying")
_SCALED_NUMERIC = re.compile(r"^numeric\(\d+,\d+\)$")

# Key equality is the type's own (numeric 1.0 = 1.00); these have a hash that is the same in every database.
_KEY_NATIVE = (*sorted(_EXACT), *_EXACT_PREFIX, "numeric", "real", "double precision", "character(", "interval", "inet", "cidr", "macaddr")


def content_expr(column: sql.Composable, type_name: str) -> sql.Composable:
    """Returns the expression that stands for a value's exact image in a hash."""
    if type_name in _EXACT or type_name.startswith(_EXACT_PREFIX) or _SCALED_NUMERIC.match(type_name):
        return column
    if type_name.startswith(_TEXT) and not type_name.endswith("[]"):
        return sql.SQL('{} COLLATE "C"').format(column)
    if type_name == "double precision":
        return sql.SQL("float8send({})").format(column)
    return sql.SQL('{}::text COLLATE "C"').format(column)


def key_expr(column: sql.Composable, type_name: str) -> sql.Composable:
    """Returns the expression that stands for a key's value in a hash."""
    if type_name.startswith(_KEY_NATIVE) and not type_name.endswith("[]"):
        return column
    return sql.SQL('{}::text COLLATE "C"').format(column)


def row_hash(values: Sequence[sql.Composable]) -> sql.Composed:
    """Returns a 64-bit hash of a row of values; NULLs count."""
    return sql.SQL("hash_record_extended(ROW({}), 0)").format(sql.SQL(", ").join(values))


def bucket_of(key_hash: sql.Composable, bucket_count: int) -> sql.Composed:
    """Returns the bucket a key falls into; `bucket_count` is a power of two."""
    return sql.SQL("({} & {})").format(key_hash, sql.Literal(bucket_count - 1))
