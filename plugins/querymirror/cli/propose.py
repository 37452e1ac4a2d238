"""Looks at a table or a query and proposes what a spec of it says: key, cursor, columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from querymirror.cli.check_source import TIMEOUT, bad_keys
from querymirror.connections import Address
from querymirror.errors import TerminalError
from querymirror.pg.session import connect, translated
from querymirror.sources import queries
from querymirror.sources.catalog import Description

_TABLE = sql.SQL("""
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.oid = to_regclass({name}) GROUP BY 1
""")
_KEYS = sql.SQL("""
SELECT i.indrelid::bigint, array_agg(a.attname::text ORDER BY array_position(i.indkey::int2[], a.attnum))
  FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
 WHERE i.indrelid = ANY({oids}::oid[]) AND i.indisprimary GROUP BY 1
""")
# The best name first; what only says when a row was made never moves again.
_CURSOR_NAMES = ("updated_at", "last_update", "last_updated", "updated_on", "updated", "modified_at", "last_modified", "modified", "changed_at", "changed")


@dataclass(frozen=True)
class Proposal:
    """What was seen.

    Args:
        query: that the pipeline mirrors.
        columns: of its result.
        primary_key: proposed; empty = nothing certain was seen.
        cursor: proposed; None = no column says when a row changed.
        warning: what the source lacks for it, with the fix.
    """

    query: str
    columns: tuple[str, ...]
    primary_key: tuple[str, ...] = ()
    cursor: str | None = None
    warning: str = ""


def propose(address: Address, *, table: str | None, query: str | None) -> Proposal:
    """Looks at a table, or at a query, of the source.

    Raises:
        TerminalError: there is no such table, or the query does not run.
    """
    with translated(address.conn_id), connect(address, read_only=True, statement_timeout=TIMEOUT) as conn:
        text = query if query is not None else _query_of(conn, str(table))
        description = Description(conn, queries.subselect(text))
        columns = tuple(c.name for c in description.columns())
        cursor, warning = _cursor(description, columns)
        return Proposal(query=text, columns=columns, primary_key=_key(conn, description, text), cursor=cursor, warning=warning)


def _query_of(conn: psycopg.Connection[Any], table: str) -> str:
    row = conn.execute(_TABLE.format(name=sql.Literal(table))).fetchone()
    if row is None:
        message = f"there is no table {table!r} that this role sees."
        raise TerminalError(message, where="source", fix="Name it as schema.table; capitals and spaces go in double quotes.")
    name, columns = row
    return sql.SQL("SELECT {}\nFROM {}").format(queries.raw(columns), queries.raw(name)).as_string(None)


def _key(conn: psycopg.Connection[Any], description: Description, query: str) -> tuple[str, ...]:
    """Returns the columns that show a table's primary key and are unique in the result."""
    by_table: dict[int, dict[str, str]] = {}
    for name in description.names:
        origin = description.origin(name)
        if origin is not None:
            by_table.setdefault(origin.oid, {}).setdefault(origin.column, name)
    found = conn.execute(_KEYS.format(oids=sql.Literal(list(by_table)))).fetchall()
    keys = [tuple(by_table[oid][c] for c in columns) for oid, columns in found if all(c in by_table[oid] for c in columns)]
    # The key of one table may repeat where others are joined to it; all of them together do not.
    together = tuple(dict.fromkeys(name for key in keys for name in key))
    candidates = [*keys, *([together] if len(keys) > 1 else [])]
    return next((key for key in candidates if not bad_keys(conn, query, key)), ())


def _cursor(description: Description, columns: tuple[str, ...]) -> tuple[str | None, str]:
    """Returns the column that says when a row changed, and what it lacks; one that an index finds goes first."""
    origins = {name: description.origin(name) for name in columns}
    times = {c.name for c in description.columns() if queries.is_time(c.source_type)}
    candidates = sorted((name for name in columns if name in times and name.lower() in _CURSOR_NAMES), key=lambda n: _CURSOR_NAMES.index(n.lower()))
    indexed = [name for name in candidates if (origin := origins[name]) is not None and origin.indexed]
    if indexed or not candidates:
        return (indexed[0] if indexed else None), ""
    origin = origins[candidates[0]]
    if origin is None:
        return candidates[0], f"{candidates[0]} is an expression, which no index finds: each changed cycle reads the whole query."
    index = sql.SQL("CREATE INDEX CONCURRENTLY ON {} ({});").format(sql.Identifier(origin.schema_name, origin.table), sql.Identifier(origin.column))
    return candidates[0], f"no index begins with {candidates[0]}: each changed cycle reads the whole table. Run in the source: {index.as_string(None)}"
