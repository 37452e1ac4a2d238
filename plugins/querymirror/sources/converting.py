"""Rows that a transform returned, as a relation that PostgreSQL reads: it alone knows how a value becomes a column's type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from querymirror.errors import SchemaError
from querymirror.facts import Column
from querymirror.sources import queries
from querymirror.sources.catalog import Description, require_columns
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.sql_tokens import Statement
from querymirror.spec.target import PostgresTarget
from querymirror.spec.upper_rules import read_create_table

UNFIT = (psycopg.DataError, psycopg.IntegrityError)
"""What PostgreSQL raises over a value that is none of its column's type."""


def relation(columns: Sequence[Column], documents: Sequence[bytes]) -> sql.Composed:
    """Returns JSON documents as the sub-select `q`; fields that are no column's are left out, those that are missing are NULL."""
    text = (b"[%b]" % b",".join(documents)).decode()
    fields = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(c.name), _read_as(c)) for c in columns)
    values = sql.SQL(", ").join(_value(c) for c in columns)
    return sql.SQL("(SELECT {} FROM json_to_recordset({}::json) AS r({})) AS q").format(values, sql.Literal(text), fields)


def _read_as(column: Column) -> sql.SQL:
    return queries.raw("text" if column.source_type == "bytea" else column.source_type)


def _value(column: Column) -> sql.Composable:
    name = sql.Identifier("r", column.name)
    return sql.SQL("decode({}, 'base64') AS {}").format(name, sql.Identifier(column.name)) if column.source_type == "bytea" else name


def table_columns(spec: PipelineSpec, own: Sequence[Column], conn: psycopg.Connection[Any]) -> tuple[Column, ...]:
    """Returns the columns of the rows that a transform returns: those of `create_sql`, without it the query's that are stored.

    Args:
        spec: of a pipeline whose target is a table.
        own: the query's columns.
        conn: a session of the source, which must know the types.

    Raises:
        SchemaError: the table lacks a column of the primary key, or the source doesn't know a type.
    """
    create = spec.target.create_sql if isinstance(spec.target, PostgresTarget) else None
    if create is None:
        return tuple(c for c in own if c.name not in spec.target.omit)
    types = [(name, kind) for name, kind in read_create_table(Statement(create.text)).types.items() if name not in spec.target.omit]
    require_columns(tuple(Column(name=n, type=t, source_type=t) for n, t in types), spec.source.primary_key, f"{spec.id} create_sql")
    nulls = sql.SQL(", ").join(sql.SQL("NULL::{} AS {}").format(queries.raw(kind), sql.Identifier(name)) for name, kind in types)
    try:
        return Description(conn, sql.SQL("(SELECT {}) AS q").format(nulls)).columns()
    except psycopg.errors.UndefinedObject as err:
        message = f"the source does not know a type of create_sql: {str(err).splitlines()[0]}."
        raise SchemaError(message, where=spec.id, fix="Rows are made there: CREATE EXTENSION in the source, or store the column as text.") from err
