"""Questions to the source's catalog: what a query's columns are and where they come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from querymirror.errors import SchemaError
from querymirror.facts import Column, Origin

_TYPES = sql.SQL("""
WITH RECURSIVE given(n, oid, mod) AS (
  SELECT n, oid, mod FROM unnest({numbers}::int[], {oids}::oid[], {mods}::int[]) AS g(n, oid, mod)
), based AS (
  SELECT n, oid, mod FROM given
  UNION ALL
  SELECT b.n, t.typbasetype, CASE WHEN t.typtypmod >= 0 THEN t.typtypmod ELSE b.mod END
    FROM based b JOIN pg_type t ON t.oid = b.oid WHERE t.typtype = 'd'
)
SELECT g.n, format_type(g.oid, g.mod), format_type(t.oid, b.mod), t.oid::bigint, t.typtype::text,
       t.typelem <> 0 AND t.typcategory = 'A', coalesce(e.oid, 0)::bigint,
       coalesce(e.typtype, t.typtype) IN ('c', 'p')
         OR EXISTS (SELECT FROM pg_cast WHERE castsource = coalesce(e.oid, t.oid) AND casttarget = 'json'::regtype AND castfunc <> 0)
  FROM based b JOIN pg_type t ON t.oid = b.oid JOIN given g ON g.n = b.n
  LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
 WHERE t.typtype <> 'd' ORDER BY g.n
""")

_ORIGIN = sql.SQL("""
SELECT c.oid::bigint, n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
       EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
                WHERE i.indrelid = c.oid AND i.indkey[0] = a.attnum AND i.indisvalid AND i.indpred IS NULL AND m.amname = 'btree'),
       ARRAY(WITH RECURSIVE parts(oid) AS (
               SELECT inhrelid FROM pg_inherits WHERE inhparent = c.oid
               UNION SELECT i.inhrelid FROM pg_inherits i JOIN parts p ON p.oid = i.inhparent)
             SELECT oid::bigint FROM parts ORDER BY 1)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
 WHERE c.oid = {oid} AND a.attnum = {number}
""")

FIRST_OWN_OID = 16384  # objects below it are the same in every PostgreSQL


class Description:
    """The columns of a query as the server described them, from one look at no rows."""

    def __init__(self, conn: psycopg.Connection[Any], query: sql.Composable) -> None:
        self._conn = conn
        cursor = conn.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(query))
        self.names = [c.name for c in cursor.description or ()]
        result = cursor.pgresult
        numbers = range(len(self.names))
        self._types = [(result.ftype(i), result.fmod(i)) for i in numbers] if result else []
        self._origins = [(result.ftable(i), result.ftablecol(i)) for i in numbers] if result else []

    def columns(self) -> tuple[Column, ...]:
        """Returns the columns with the types a target stores them in.

        Raises:
            SchemaError: a column has no name of its own.
        """
        self._refuse_unnamed()
        query = _TYPES.format(
            numbers=sql.Literal(list(range(len(self.names)))),
            oids=sql.Literal([oid for oid, _ in self._types]),
            mods=sql.Literal([mod for _, mod in self._types]),
        )
        return tuple(_column(self.names[row[0]], row[1:]) for row in self._conn.execute(query).fetchall())

    def origin(self, name: str) -> Origin | None:
        """Returns the base table's column that a column shows unchanged, None for an expression."""
        oid, number = self._origins[self.names.index(name)]
        if not oid or not number:
            return None
        row = self._conn.execute(_ORIGIN.format(oid=sql.Literal(oid), number=sql.Literal(number))).fetchone()
        if row is None:
            return None
        return Origin(oid=row[0], schema_name=row[1], table=row[2], column=row[3], type=row[4], indexed=row[5], parts=tuple(row[6]))

    def table_oid(self, name: str) -> int:
        """Returns the oid of the table a column comes from, 0 for an expression."""
        return self._origins[self.names.index(name)][0] if name in self.names else 0

    def _refuse_unnamed(self) -> None:
        twice = sorted(name for name, count in Counter(self.names).items() if count > 1 or name == "?column?")
        if twice:
            message = f"the query returns column(s) without a name of their own: {', '.join(twice)}."
            raise SchemaError(message, fix="Give each column of the query its own name with AS.")


def table_oids(conn: psycopg.Connection[Any], names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Returns the oids of tables by schema and name.

    Tables created by the query itself (pg_temp) or catalogs have no meaning here; what to_regclass can't see is left out.
    """
    lookup = sql.SQL("SELECT s, r, to_regclass(quote_ident(s) || '.' || quote_ident(r))::oid::bigint FROM unnest({}::text[], {}::text[]) AS t(s, r)")
    rows = conn.execute(lookup.format(sql.Literal([s for s, _ in names]), sql.Literal([r for _, r in names]))).fetchall()
    return {(schema, table): oid for schema, table, oid in rows if oid}


def _column(name: str, row: tuple[Any, ...]) -> Column:
    source_type, base_type, oid, kind, is_array, element, nested = row
    if is_array:
        stored = base_type if element < FIRST_OWN_OID else "text[]"
        return Column(name=name, type=stored, source_type=source_type, nested=nested)
    if kind in {"e", "c", "p"} or (kind in {"r", "m"} and oid >= FIRST_OWN_OID):
        return Column(name=name, type="text", source_type=source_type, nested=nested)
    return Column(name=name, type=base_type, source_type=source_type, builtin=oid < FIRST_OWN_OID, nested=nested)


def require_columns(columns: Sequence[Column], names: Sequence[str], where: str) -> None:
    """Refuses names that the query doesn't return.

    Raises:
        SchemaError: with the names it has.
    """
    known = [c.name for c in columns]
    missing = [n for n in names if n not in known]
    if missing:
        message = f"{', '.join(missing)!r} is not a column of the query (has: {', '.join(known)})."
        raise SchemaError(message, where=where, fix="Set it to one of these, or add the column to the query.")
