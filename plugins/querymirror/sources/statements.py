"""The SQL that reads a batch, as people read it: a dry run prints it, nothing here runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from psycopg import sql

from querymirror.facts import Column
from querymirror.records import Batch
from querymirror.sources import queries
from querymirror.spec.pipeline import PipelineSpec


def statement_of(spec: PipelineSpec, batch: Batch, columns: Sequence[Column], change_columns: Mapping[str, Sequence[Column]]) -> str:
    """Returns the query of a batch; a `keys` batch names its keys, a `buckets` batch shows the whole query."""
    by_name = {c.name: c for c in columns}
    condition = _condition(spec, batch, by_name, change_columns)
    query = sql.SQL("SELECT * FROM {} WHERE {}").format(queries.subselect(spec.source.query.text), condition)
    return query.as_string(None)


def _condition(spec: PipelineSpec, batch: Batch, by_name: Mapping[str, Column], change_columns: Mapping[str, Sequence[Column]]) -> sql.Composable:
    key, cursor = [by_name[name] for name in spec.source.primary_key], spec.source.cursor_column
    if batch.kind == "keys":
        return queries.in_keys(key, batch.keys)
    if batch.kind == "range":
        return queries.in_window(queries.column(key[0].name), key[0].source_type, batch.window, nulls=batch.window.low is None)
    if batch.kind == "window" and cursor is not None:
        return queries.in_window(queries.column(cursor), by_name[cursor].source_type, batch.window, nulls=batch.window.high is None)
    if batch.kind == "changes":
        change = next(c for c in spec.source.changes if c.name == batch.stream)
        names = sql.SQL(", ").join(queries.column(c.name) for c in change_columns[change.name][:-1])
        keys = queries.subselect(queries.keys_query(change.keys_sql.text, batch.window).as_string(None))
        return sql.SQL("({}) IN (SELECT {} FROM {})").format(sql.SQL(", ").join(queries.column(c.name) for c in key), names, keys)
    return sql.SQL("true")
