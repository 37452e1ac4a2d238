"""Reads both sides of a pipeline exactly and without the product's own code: images of values, numbers as they are spelled."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import urllib3
from psycopg import sql

from querymirror.spec.target import PostgresTarget
from tests.cases.type_cases import TypeCase
from tests.fixtures.fix_elasticsearch import Indices
from tests.fixtures.fix_pipeline import Mirror

TABLE = "typed"
Values = dict[int, Any]


def make_table(case: TypeCase) -> str:
    """Returns DDL of a source table: a row for each value, one more without a value."""
    first = "; ".join(f"INSERT INTO {TABLE} (value) VALUES ({value})" for value in (*case.values, "NULL"))
    if "NOT NULL" in case.setup:
        first = first.rpartition("; ")[0]
    table = f"CREATE TABLE {TABLE} (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, value {case.type}, updated_at timestamptz NOT NULL DEFAULT now())"
    return f"{case.setup}; {table}; {first}" if case.setup else f"{table}; {first}"


def rotate(*, cursor: bool) -> str:
    """Returns an UPDATE that gives each row the value of the next one, the last row the first one's; with or without its cursor."""
    moved = ", updated_at = clock_timestamp()" if cursor else ""
    return f"UPDATE {TABLE} t SET value = n.value{moved} FROM {TABLE} n WHERE n.id = t.id % (SELECT max(id) FROM {TABLE}) + 1"


def images(dsn: str, table: str) -> Values:
    """Returns each value as its type's output function writes it; padding, signs of zero and trailing zeros included."""
    query = f"SELECT id, CASE WHEN value IS DISTINCT FROM NULL THEN format('%s', value) END FROM {table}"
    return dict(_rows(dsn, query))


def json_values(dsn: str, case: TypeCase) -> Values:
    """Returns each value as JSON; bytea as base64."""
    value = "to_json(translate(encode(value, 'base64'), E'\\n', ''))" if case.type == "bytea" else "to_json(value)"
    return {key: None if text is None else exact(text) for key, text in _rows(dsn, f"SELECT id, {value}::text FROM {TABLE}")}


def _rows(dsn: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("SET TimeZone TO UTC; SET DateStyle TO ISO; SET IntervalStyle TO postgres; SET extra_float_digits TO 1; SET lc_monetary TO 'C'")
        return conn.execute(query.encode()).fetchall()


def exact(text: str | bytes) -> Any:
    """Reads JSON; a number stays as it is spelled, the pairs of an object in their order."""
    return json.loads(text, parse_float=_number, parse_int=_number, parse_constant=_number, object_pairs_hook=lambda pairs: ("object", pairs))


def _number(text: str) -> tuple[str, str]:
    return ("number", text)


def documents(indices: Indices, index: str) -> dict[str, Any]:
    """Returns the documents of an index by id: {field: value}, each value read exactly."""
    indices.client.indices.refresh(index=index)
    answer = urllib3.request("GET", f"{indices.server.url}/{index}/_search?size=1000", timeout=30)
    hits = dict(dict(exact(answer.data)[1])["hits"][1])["hits"]
    found = [dict(hit[1]) for hit in hits]
    return {hit["_id"]: dict(hit["_source"][1]) for hit in found}


def column_type(pipeline: Mirror, column: str = "value") -> str:
    """Returns the type of a column of the target table."""
    if not isinstance(pipeline.spec.target, PostgresTarget):
        message = "no table"
        raise TypeError(message)
    query = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s"
    return str(pipeline.databases.in_target(query, [pipeline.spec.target.table, column])[0][0])


def field_type(pipeline: Mirror, field: str = "value") -> str:
    """Returns the type of a field of the target index."""
    if pipeline.indices is None:
        message = "no index"
        raise TypeError(message)
    mapping = next(iter(pipeline.indices.client.indices.get_mapping(index=pipeline.index).body.values()))["mappings"]
    return str(mapping["properties"][field].get("type", "object"))


def quoted(name: str) -> str:
    """Returns a name as an identifier."""
    return sql.Identifier(name).as_string(None)
