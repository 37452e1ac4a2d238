"""What a source must have for a pipeline: readable tables, columns, a unique key, indexes behind the cursors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from querymirror.cli.findings import Findings, names
from querymirror.errors import SchemaError
from querymirror.facts import Column, Origin
from querymirror.records import Window
from querymirror.sources import queries
from querymirror.sources.base import Source
from querymirror.sources.catalog import Description
from querymirror.spec.base import SqlText
from querymirror.spec.problems import listed, suggestion
from querymirror.spec.yaml_lines import Path as FieldPath

TIMEOUT = 30  # seconds one check may take in the source
SHOWN_KEYS = 3


def check_source(findings: Findings, source: Source, conn: psycopg.Connection[Any]) -> tuple[Column, ...] | None:
    """Checks a spec's source; returns the query's columns, None where they can't be known.

    Args:
        findings: where to tell what is wrong.
        source: the pipeline's.
        conn: a read-only session of it, whose statements end after `TIMEOUT`.
    """
    spec = findings.spec
    query = spec.source.query
    description = _described(findings, conn, ("source", "query"), query, query.text)
    if description is None:
        return None
    columns = _columns(findings, description)
    if columns is None or not _named_columns_exist(findings, columns):
        return None
    if spec.source.cursor_column is not None:
        cursor = next(c for c in columns if c.name == spec.source.cursor_column)
        _check_cursor(findings, ("source", "cursor_column"), cursor, description.origin(cursor.name))
    _check_changes(findings, conn)
    _check_key(findings, conn, description)
    _check_keys_sql(findings, conn)
    if not findings.failed:
        findings.checked(("source", "conn_id"), lambda: _check_counters(findings, source))
    return columns


def _described(findings: Findings, conn: psycopg.Connection[Any], path: FieldPath, written: SqlText, text: str) -> Description | None:
    """Plans a query, which also asks for every privilege it needs, and describes its result."""
    sent = sql.SQL("EXPLAIN SELECT * FROM {}").format(queries.subselect(text)).as_string(None)
    try:
        conn.execute(queries.raw(sent))
        return Description(conn, queries.subselect(text))
    except psycopg.Error as err:
        findings.statement(path, written, err, sent)
        return None


def _columns(findings: Findings, description: Description) -> tuple[Column, ...] | None:
    try:
        return description.columns()
    except SchemaError as err:
        findings.error(("source", "query"), err.what, err.fix)
        return None


def _named_columns_exist(findings: Findings, columns: Sequence[Column]) -> bool:
    spec, known = findings.spec, [c.name for c in columns]
    wanted: list[tuple[FieldPath, str]] = [(("source", "primary_key"), name) for name in spec.source.primary_key]
    wanted += [(("source", "cursor_column"), spec.source.cursor_column)] if spec.source.cursor_column else []
    wanted += [(("target", "omit"), name) for name in spec.target.omit]
    missing = [(path, name) for path, name in wanted if name not in known]
    for path, name in missing:
        fix = suggestion(name, known, f"Use one of: {listed(known)}; or add the column to the query.")
        findings.error(path, f"{name!r} is not a column of the query.", fix)
    return not missing


def _check_cursor(findings: Findings, path: FieldPath, cursor: Column, origin: Origin | None) -> None:
    if not queries.is_time(cursor.source_type) and cursor.source_type.split("(", maxsplit=1)[0] not in {"smallint", "integer", "bigint", "numeric"}:
        what = f"{cursor.name!r} is {cursor.source_type}, which seldom grows with every change."
        findings.warning(path, what, "Name a timestamp or a number that every insert and update raises.")
    if origin is None:
        what = f"{cursor.name!r} is an expression: no index finds its new values, each changed cycle reads the whole query."
        findings.warning(path, what, "Select the table's own column under this name, and index it.")
    elif not origin.indexed:
        place = sql.Identifier(origin.schema_name, origin.table)
        index = sql.SQL("CREATE INDEX CONCURRENTLY ON {} ({});").format(place, sql.Identifier(origin.column)).as_string(None)
        what = f"no index begins with {origin.schema_name}.{origin.table}.{origin.column}: each changed cycle reads the whole table."
        findings.warning(path, what, f"Run in the source: {index}")


def _check_changes(findings: Findings, conn: psycopg.Connection[Any]) -> None:
    for number, change in enumerate(findings.spec.source.changes):
        path: FieldPath = ("source", "changes", number, "keys_sql")
        text = queries.keys_query(change.keys_sql.text, Window()).as_string(None)
        description = _described(findings, conn, path, change.keys_sql, text)
        if description is None:
            continue
        columns, key = description.columns(), findings.spec.source.primary_key
        if len(columns) != len(key) + 1:
            findings.error(path, f"it returns {len(columns)} columns ({names(c.name for c in columns)}).", f"Return {names(key)} and then the change's cursor.")
            continue
        cursor = columns[-1]
        try:
            queries.earliest_and_latest(cursor.source_type)
        except KeyError:
            findings.error(
                path, f"its cursor {cursor.name!r} is {cursor.source_type}, for which no first and last value is known.", "Use a timestamp or a number."
            )
            continue
        _check_cursor(findings, path, cursor, description.origin(cursor.name))


def _check_key(findings: Findings, conn: psycopg.Connection[Any], description: Description) -> None:
    spec, path = findings.spec, ("source", "primary_key")
    key = names(spec.source.primary_key)
    try:
        rows = bad_keys(conn, spec.source.query.text, spec.source.primary_key)
    except psycopg.errors.QueryCanceled:
        findings.warning(path, f"whether the key is unique could not be told in {TIMEOUT} s.", "A run says so if it is not.")
        return
    except psycopg.Error as err:
        findings.statement(("source", "query"), spec.source.query, err, "")
        return
    without = [row for row in rows if None in row[:-1]]
    if without:
        findings.error(path, f"{key} is NULL in {without[0][-1]} row(s) of the query.", "Leave these rows out, or choose other columns.")
    twice = [row for row in rows if None not in row[:-1]]
    if twice:
        shown = "; ".join(f"{', '.join(row[:-1])} ({row[-1]} rows)" for row in twice)
        findings.error(path, f"{key} is not unique in the query: {shown}.", "Add the columns that tell the rows apart, or aggregate.")
    origin = description.origin(spec.source.primary_key[0])
    if origin is not None and not origin.indexed:
        what = f"no index begins with {origin.schema_name}.{origin.table}.{origin.column}: rows looked up by key scan the table."
        findings.warning(path, what, "Index it in the source.")


def bad_keys(conn: psycopg.Connection[Any], query: str, key: Sequence[str]) -> list[tuple[Any, ...]]:
    """Returns a few keys that stand in several rows of a query, or hold NULL, each with its number of rows; none = it is a key."""
    columns = [queries.column(name) for name in key]
    texts = sql.SQL(", ").join(sql.SQL("{}::text").format(c) for c in columns)
    nulls = sql.SQL(" OR ").join(sql.SQL("{} IS NULL").format(c) for c in columns)
    statement = sql.SQL("SELECT {}, count(*) FROM {} GROUP BY {} HAVING count(*) > 1 OR {} ORDER BY {} LIMIT {}")
    grouped = sql.SQL(", ").join(columns)
    return conn.execute(statement.format(texts, queries.subselect(query), grouped, nulls, grouped, sql.Literal(SHOWN_KEYS))).fetchall()


def _check_keys_sql(findings: Findings, conn: psycopg.Connection[Any]) -> None:
    keys = findings.spec.keys_sql
    if keys is None:
        return
    description = _described(findings, conn, ("keys_sql",), keys, keys.text)
    missing = [] if description is None else [name for name in findings.spec.orphan_key if name not in description.names]
    if description is not None and missing:
        findings.error(("keys_sql",), f"it does not return {names(missing)} (has: {names(description.names)}).", "Select exactly the key's columns.")


def _check_counters(findings: Findings, source: Source) -> None:
    probe, _ = source.probe({})
    if probe.blind:
        what = f"changes can't be told cheaply: {probe.blind}; every cycle reads."
        findings.warning(("source", "conn_id"), what, "Connect to the primary, with track_counts on, or accept the cost.")
        if findings.spec.watch is not None:
            what = f"it can't see what moves: {probe.blind}; cycles start by the schedule alone."
            findings.warning(("watch",), what, "Remove it, or connect to the primary, with track_counts on.")
