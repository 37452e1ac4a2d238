"""Where rows go to, told apart by `type`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from querymirror.spec.base import SpecModel, SqlText


class PostgresTarget(SpecModel):
    """A PostgreSQL table.

    `columns` and `update_columns` are set by the second spec form only (from `UPSERT_TARGET_SQL`): the target's columns in
    the order of the query's, and those that an upsert overwrites. Empty = the query's own columns, all overwritten.
    """

    type: Literal["postgres"]
    conn_id: Annotated[str, Field(min_length=1, description="Airflow connection of the target.")]
    table: Annotated[str, Field(description="schema.table; both are created when missing.")]
    create_sql: Annotated[SqlText | None, Field(description="CREATE TABLE IF NOT EXISTS ...; made from the query's columns otherwise.")] = None
    omit: Annotated[tuple[str, ...], Field(description="Columns that the cycle needs and the target does not store.")] = ()
    columns: tuple[str, ...] = ()
    update_columns: tuple[str, ...] = ()


class ElasticsearchTarget(SpecModel):
    """An Elasticsearch index; `index` is an alias that points at the index in use."""

    type: Literal["elasticsearch"]
    conn_id: Annotated[str, Field(min_length=1, description="Airflow connection of the target.")]
    index: Annotated[str, Field(description="Name that readers use.")]
    index_config: Annotated[dict[str, Any] | None, Field(description="Settings and mappings: a file under include/indices.")] = None
    omit: Annotated[tuple[str, ...], Field(description="Columns that the cycle needs and the target does not store.")] = ()


Target = Annotated[PostgresTarget | ElasticsearchTarget, Field(discriminator="type")]
