"""The databases and the cluster that worlds are built on."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import psycopg

from devstack.elasticsearch import ElasticsearchServer
from devstack.postgres import PostgresServer
from querymirror.sync import compare, extract
from tests.judge.line import Servers

WAIT = 0.02  # seconds


def made(server: PostgresServer, source: str, target: str, *, elastic: ElasticsearchServer | None) -> Servers:
    """Creates the databases: a source that the role `reader` may read, a target that `analytics` owns."""
    server.create_database(source)
    server.create_database(target, owner="analytics")
    with psycopg.connect(server.dsn(source), autocommit=True) as conn:
        conn.execute("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader; ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO reader")
    return Servers(
        source=server.address("movies_db", source, role="reader"),
        target=server.address("analytics_db", target, role="analytics"),
        source_dsn=server.dsn(source),
        target_dsn=server.dsn(target),
        elastic=None if elastic is None else elastic.address("movies_es"),
        elastic_url="" if elastic is None else elastic.url,
    )


def fit_to_worlds(put: Callable[[ModuleType, str, float], None]) -> None:
    """Makes what a cycle waits for and what it calls full as small as the worlds are.

    It waits a moment, not seconds, for transactions to end: here nobody ends one while a cycle waits. A range of three rows is cut again.

    Args:
        put: `setattr`, or a test's `monkeypatch.setattr`.
    """
    put(extract, "WAIT_FOR_TRANSACTIONS", WAIT)
    put(extract, "WAIT_IN_FULL_READ", WAIT)
    put(compare, "FULL", 2)
