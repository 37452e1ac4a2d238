"""Airflow connections, through the providers' hooks, as the addresses that the core knows."""

from __future__ import annotations

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from querymirror.connections import Address, from_connection
from querymirror.errors import TransientError
from querymirror.spec.pipeline import PipelineSpec


def source_address(spec: PipelineSpec) -> Address:
    """Returns where the source is.

    Raises:
        TransientError: the connection can't be had now.
    """
    return _address(spec.source.conn_id, "postgres")


def target_address(spec: PipelineSpec) -> Address:
    """Returns where the target is.

    Raises:
        TransientError: the connection can't be had now.
    """
    return _address(spec.target.conn_id, spec.target.type)


async def addresses(spec: PipelineSpec) -> tuple[Address, Address]:
    """Returns source and target without blocking the triggerer's event loop.

    Raises:
        TransientError: a connection can't be had now.
    """
    return await address_of(spec.source.conn_id), await address_of(spec.target.conn_id)


async def address_of(conn_id: str) -> Address:
    """Returns where a server is without blocking the triggerer's event loop.

    Raises:
        TransientError: the connection can't be had now.
    """
    try:
        return from_connection(await BaseHook.aget_connection(conn_id))
    except AirflowNotFoundException as err:
        raise _unknown(conn_id) from err


def _address(conn_id: str, kind: str) -> Address:
    try:
        return from_connection(_hook(kind).get_connection(conn_id))
    except AirflowNotFoundException as err:
        raise _unknown(conn_id) from err


def _hook(kind: str) -> type[BaseHook]:
    if kind == "elasticsearch":
        from airflow.providers.elasticsearch.hooks.elasticsearch import ElasticsearchSQLHook  # noqa: PLC0415 - as below

        return ElasticsearchSQLHook
    from airflow.providers.postgres.hooks.postgres import PostgresHook  # noqa: PLC0415 - the dag-processor imports this module and needs no provider

    return PostgresHook


def _unknown(conn_id: str) -> TransientError:
    # Airflow says "not defined" also when its api-server did not answer, so this may pass
    message = f"connection {conn_id!r} is not defined, or Airflow could not be asked."
    return TransientError(message, fix=f"Add it under Admin > Connections or set AIRFLOW_CONN_{conn_id.upper()}.")
