"""Where rows come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from querymirror.spec.base import SpecModel, SqlText


class Change(SpecModel):
    """Another table whose changes touch rows of the query.

    `keys_sql` returns the primary key columns of the query's rows to read again and, last, the cursor of the change;
    it holds the placeholders `%(low)s` and `%(high)s`: `WHERE p.updated_at >= %(low)s AND p.updated_at <= %(high)s`.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", description="Name of this change, unique in the spec.")]
    keys_sql: Annotated[SqlText, Field(description="File under include/sql, or SQL inline.")]


class PostgresSource(SpecModel):
    """A SQL query over a PostgreSQL."""

    type: Literal["postgres"] = "postgres"
    conn_id: Annotated[str, Field(min_length=1, description="Airflow connection of the source.")]
    query: Annotated[SqlText, Field(description="File under include/sql, or SQL inline; one row per primary key.")]
    primary_key: Annotated[tuple[str, ...], Field(min_length=1, description="Columns of the result that identify a row.")]
    cursor_column: Annotated[
        str | None,
        Field(description="Column of the result that grows with every change; without it each changed cycle compares the whole result."),
    ] = None
    changes: Annotated[tuple[Change, ...], Field(description="Other tables whose changes touch rows of the query.")] = ()
    statement_timeout: Annotated[int, Field(ge=1, le=86_400, description="Seconds one statement may take in the source.")] = 3600
