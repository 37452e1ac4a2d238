"""The target table as its catalog shows it, and the DDL that makes or adapts it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg import sql

from querymirror.errors import SchemaError, TransientError
from querymirror.facts import Column, Shape, WireColumn
from querymirror.spec.names import split_table
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.target import PostgresTarget
from querymirror.targets.type_map import binary_safe, unbounded, widens

DELETED_AT = "deleted_at"  # set by delete_missing: soft

_COLUMNS = sql.SQL("""
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.atttypid < 16384, a.attnotnull AND NOT a.atthasdef AND a.attidentity = '', a.attgenerated <> ''
  FROM pg_attribute a WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
""")
_UNIQUE = sql.SQL("""
SELECT array_agg(a.attname::text) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
 WHERE i.indrelid = {oid} AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
 GROUP BY i.indexrelid, i.indnkeyatts HAVING count(*) = i.indnkeyatts
""")


@dataclass(frozen=True)
class TableColumn:
    """A column of the target table; `required` = NOT NULL without a default."""

    name: str
    type: str
    builtin: bool
    required: bool
    generated: bool


class TargetTable:
    """Names, columns and keys of the pipeline's table.

    Args:
        spec: the pipeline; its target is a table.
        target: that target.
        conn: a session of the target.
    """

    def __init__(self, spec: PipelineSpec, target: PostgresTarget, conn: psycopg.Connection[Any]) -> None:
        self._spec, self._target, self._conn = spec, target, conn
        self.schema, self.name = split_table(target.table)
        self.identifier = sql.Identifier(self.schema, self.name)

    def oid(self) -> int | None:
        """Returns the table's oid, None where there is no table."""
        query = sql.SQL("SELECT c.oid::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = {} AND c.relname = {}")
        row = self._conn.execute(query.format(sql.Literal(self.schema), sql.Literal(self.name))).fetchone()
        return int(row[0]) if row else None

    def columns(self, oid: int) -> dict[str, TableColumn]:
        """Returns the table's columns by name."""
        return {row[0]: TableColumn(*row) for row in self._conn.execute(_COLUMNS.format(oid=sql.Literal(oid))).fetchall()}

    def stored(self, columns: Sequence[Column]) -> list[tuple[Column, str]]:
        """Returns the query's columns that the target stores, each with its name there."""
        kept = [c for c in columns if c.name not in self._target.omit]
        names = self._target.columns or tuple(c.name for c in kept)
        if len(names) != len(kept):
            message = f"the query returns {len(kept)} columns, the INSERT lists {len(names)}."
            raise SchemaError(message, where=self._spec.id, fix="List as many columns as the query returns, in the same order.")
        return list(zip(kept, names, strict=True))

    def shape(self, columns: Sequence[Column], oid: int) -> Shape:
        """Returns how rows travel to this table.

        Raises:
            TransientError: the table was dropped or altered since `ensure`.
        """
        own = self.columns(oid)
        gone = [name for _, name in self.stored(columns) if name not in own]
        if gone:
            message = f"{self.schema}.{self.name} lacks {', '.join(gone)}: the table was dropped or altered since this run made it ready."
            raise TransientError(message, where=self._spec.id, fix="The next run makes it ready again.")
        wires = []
        overwritten = self._target.update_columns
        for column, name in self.stored(columns):
            there = own[name]
            wire = unbounded(column.type) if column.builtin else "text"
            compared_as = unbounded(there.type) if there.builtin else "text"
            compared = not overwritten or name in overwritten or name in self.key_names(columns)
            wires.append(WireColumn(name=column.name, type=wire, target=name, compared_as=compared_as, compared=compared))
        form: Literal["binary", "text"] = "binary" if all(binary_safe(w.type) for w in wires) else "text"
        return Shape(format=form, columns=tuple(wires), key=self._spec.source.primary_key, orphan_key=self._spec.orphan_key)

    def key_names(self, columns: Sequence[Column]) -> tuple[str, ...]:
        """Returns the target's names of the primary key's columns."""
        names = {column.name: name for column, name in self.stored(columns)}
        return tuple(names[key] for key in self._spec.source.primary_key)

    def create(self, columns: Sequence[Column]) -> None:
        """Creates schema and table, in one transaction."""
        with self._conn.transaction():
            # Two pipelines may make their schema at the same time, and IF NOT EXISTS does not see what is not committed yet.
            self._conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('querymirror:create', 0))")
            for statement in self.creation(columns):
                self._conn.execute(statement)
            if self.oid() is None:
                message = f"create_sql ran but made no table {self.schema}.{self.name}."
                raise SchemaError(message, where=self._spec.id, fix="Create the table that target.table names.")

    def creation(self, columns: Sequence[Column]) -> list[sql.SQL | sql.Composed]:
        """Returns the statements that create the schema, where it is missing, and the table.

        Raises:
            SchemaError: the target does not know a column's type.
        """
        exists = self._conn.execute(sql.SQL("SELECT 1 FROM pg_namespace WHERE nspname = {}").format(sql.Literal(self.schema))).fetchone()
        own = self._target.create_sql
        table = sql.SQL(own.text) if own else self._create_sql(columns)
        return [table] if exists else [sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(self.schema)), table]

    def _create_sql(self, columns: Sequence[Column]) -> sql.Composed:
        types = {c.name: self.known_type(c) for c in columns}
        fields = [sql.SQL("{} {}").format(sql.Identifier(name), types[c.name]) for c, name in self.stored(columns)]
        keys = sql.SQL(", ").join(sql.Identifier(n) for n in self.key_names(columns))
        return sql.SQL("CREATE TABLE IF NOT EXISTS {} ({}, PRIMARY KEY ({}))").format(self.identifier, sql.SQL(", ").join(fields), keys)

    def known_type(self, column: Column) -> sql.SQL:
        """Returns the column's type as SQL.

        Raises:
            SchemaError: the type comes from an extension that the target lacks.
        """
        row = self._conn.execute(sql.SQL("SELECT to_regtype({})::text").format(sql.Literal(column.type))).fetchone()
        if row is None or row[0] is None:
            message = f"column {column.name!r} has type {column.type}, which the target database does not know."
            raise SchemaError(message, where=self._spec.id, fix="CREATE EXTENSION there, or cast the column in the query (::text).")
        return sql.SQL(column.type)

    def adapt(self, columns: Sequence[Column], oid: int) -> list[str]:
        """Adds and widens columns as `on_schema_change` allows; returns what was done, in words.

        Raises:
            SchemaError: a difference can't be adapted safely.
        """
        statement, done = self.adaptation(columns, oid)
        if statement is not None:
            self._conn.execute(statement)
        return done

    def adaptation(self, columns: Sequence[Column], oid: int) -> tuple[sql.Composed | None, list[str]]:
        """Returns the statement that makes the table fit, None where it does, and what it does in words; refuses what `adapt` refuses."""
        own = self.columns(oid)
        stored = self.stored(columns)
        missing = [(c, name) for c, name in stored if name not in own]
        others = [] if self._target.create_sql else [(c, own[name]) for c, name in stored if name in own and self._differs(c, own[name])]
        self._refuse(missing, others, own, {name for _, name in stored})
        ddl = [sql.SQL("ADD COLUMN {} {}").format(sql.Identifier(name), self.known_type(c)) for c, name in missing]
        ddl += [sql.SQL("ALTER COLUMN {} TYPE {}").format(sql.Identifier(there.name), self.known_type(c)) for c, there in others]
        if self._spec.delete_missing == "soft" and DELETED_AT not in own:
            ddl.append(sql.SQL("ADD COLUMN {} timestamptz").format(sql.Identifier(DELETED_AT)))
        done = [f"added column {name}" for _, name in missing] + [f"widened column {there.name} from {there.type} to {c.type}" for c, there in others]
        return self.alter(ddl) if ddl else None, done

    def alter(self, parts: Sequence[sql.Composable]) -> sql.Composed:
        """Returns one ALTER TABLE of several parts."""
        return sql.SQL("ALTER TABLE {} {}").format(self.identifier, sql.SQL(", ").join(parts))

    @staticmethod
    def _differs(column: Column, there: TableColumn) -> bool:
        return column.type != there.type and not widens(column.type, there.type)

    def _refuse(
        self, missing: Sequence[tuple[Column, str]], others: Sequence[tuple[Column, TableColumn]], own: dict[str, TableColumn], written: set[str]
    ) -> None:
        fail = self._spec.on_schema_change == "fail"
        said = [f"the query has column {name!r} ({c.type}), {self.schema}.{self.name} lacks it" for c, name in missing if fail]
        for c, there in others:
            if fail or not widens(there.type, c.type):
                said.append(f"column {there.name!r} is {c.type} in the query and {there.type} in {self.schema}.{self.name}")
        said += [
            f"{self.schema}.{self.name}.{c.name} is NOT NULL without a default and the query has no such column"
            for c in own.values()
            if c.required and c.name not in written
        ]
        said += [f"{self.schema}.{self.name}.{name} is a generated column" for name in sorted(written) if name in own and own[name].generated]
        if said:
            raise SchemaError("; ".join(said) + ".", where=self._spec.id, fix="Cast or name the columns in the query, or change the table by hand.")

    def require_unique_key(self, columns: Sequence[Column], oid: int) -> None:
        """Refuses a table whose key no unique index enforces.

        Raises:
            SchemaError: with the statement that makes one.
        """
        wanted = set(self.key_names(columns))
        if not any(set(row[0]) == wanted for row in self._conn.execute(_UNIQUE.format(oid=sql.Literal(oid))).fetchall()):
            names = sql.SQL(", ").join(sql.Identifier(n) for n in self.key_names(columns))
            fix = sql.SQL("CREATE UNIQUE INDEX ON {} ({});").format(self.identifier, names).as_string(None)
            message = f"{self.schema}.{self.name} has no primary key or unique index over exactly {', '.join(sorted(wanted))}."
            raise SchemaError(message, where=self._spec.id, fix=f"Run: {fix}")
