"""The servers behind all other tests, and the ways to break them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import errors as pg_errors

from devstack import elasticsearch, postgres
from devstack.errors import DevstackError
from querymirror.connections import Address
from tests.fixtures.fix_elasticsearch import Indices
from tests.fixtures.fix_postgres import Databases
from tests.fixtures.fix_tcp_proxy import TcpProxy

pytestmark = pytest.mark.integration


def _connect(address: Address) -> psycopg.Connection:
    return psycopg.connect(host=address.host, port=address.port, user=address.login, password=address.password, dbname=address.schema, connect_timeout=5)


def test_source_role_reads_what_a_test_makes_and_writes_nothing(databases: Databases) -> None:
    """A pipeline's source role sees every table of the test and may change none."""
    databases.in_source("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); INSERT INTO s.t VALUES (1), (2)")
    with _connect(databases.source) as conn:
        assert conn.execute("SELECT count(*) FROM s.t").fetchone() == (2,)
        with pytest.raises(pg_errors.InsufficientPrivilege, match="permission denied for table t"):
            conn.execute("DELETE FROM s.t")


def test_target_role_may_make_schemas(databases: Databases) -> None:
    """A pipeline's target role owns its database."""
    with _connect(databases.target) as conn:
        conn.execute("CREATE SCHEMA analytics")
        conn.execute("CREATE TABLE analytics.t AS SELECT 1 AS id")
    assert databases.in_target("SELECT id FROM analytics.t") == [(1,)]


def test_each_test_has_databases_of_its_own(cinema_databases: Databases, databases: Databases) -> None:
    """Two pairs of databases share nothing; the one with the cinema holds its 1,000 films."""
    assert cinema_databases.in_source("SELECT count(*) FROM content.film_work") == [(1000,)]
    assert databases.in_source("SELECT to_regclass('content.film_work')") == [(None,)]


def test_killed_postgres_comes_back_with_what_was_committed(databases: Databases) -> None:
    """After SIGKILL the server starts on the same port and holds what was committed, not what was not."""
    databases.in_source("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
    with psycopg.connect(databases.source_dsn) as conn:
        conn.execute("INSERT INTO t VALUES (2)")
        databases.server.kill()
        with pytest.raises(psycopg.OperationalError):
            conn.execute("SELECT 1")
    assert not databases.server.is_running()
    databases.server.start()
    assert databases.in_source("SELECT id FROM t") == [(1,)]


def test_killed_elasticsearch_comes_back_with_its_documents(indices: Indices) -> None:
    """After SIGKILL the node starts on the same port and holds the documents it had confirmed."""
    index = indices.name("films")
    indices.client.index(index=index, id="1", document={"title": "ACADEMY DINOSAUR"})
    indices.server.kill()
    assert not indices.server.is_running()
    indices.server.start()
    assert indices.documents(index) == {"1": {"title": "ACADEMY DINOSAUR"}}


def test_second_start_uses_what_runs(databases: Databases, indices: Indices) -> None:
    """Starting a stack that runs returns the same servers; neither is started again."""

    def born() -> tuple[object, ...]:
        with psycopg.connect(databases.server.dsn()) as conn:
            row = conn.execute("SELECT pg_postmaster_start_time()").fetchone()
        nodes = indices.client.nodes.info(metric="jvm")["nodes"]
        return row, [node["jvm"]["start_time_in_millis"] for node in nodes.values()]

    before = born()
    assert postgres.start(databases.server.root) == databases.server
    assert elasticsearch.start(indices.server.root).port == indices.server.port
    assert born() == before


def test_failed_part_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    """A node that can't start says which part failed and what its log says."""
    with pytest.raises(DevstackError) as caught:
        elasticsearch.start(tmp_path, heap="1k")
    assert str(caught.value).startswith(f"elasticsearch: ended while it started.\nThe last lines of {tmp_path}/elasticsearch/elasticsearch.log:\n")
    assert "Too small" in str(caught.value)


def test_proxy_cuts_open_connections_and_lets_new_ones_in(databases: Databases, tcp_proxy: Callable[[int], TcpProxy]) -> None:
    """`cut` breaks a session in the midst; the next one works."""
    proxy = tcp_proxy(databases.server.port)
    address = proxy.through(databases.source)
    with _connect(address) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
        assert proxy.connections == 1
        proxy.cut()
        with pytest.raises(psycopg.OperationalError):
            conn.execute("SELECT 1")
    with _connect(address) as conn:
        assert conn.execute("SELECT 2").fetchone() == (2,)


def test_proxy_refuses_until_it_resumes(databases: Databases, tcp_proxy: Callable[[int], TcpProxy]) -> None:
    """`refuse` looks like a server that is down, `resume` like one that came back on the same port."""
    proxy = tcp_proxy(databases.server.port)
    proxy.refuse()
    with pytest.raises(psycopg.OperationalError, match="Connection refused"):
        _connect(proxy.through(databases.source))
    proxy.resume()
    with _connect(proxy.through(databases.source)) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_proxy_cuts_after_a_number_of_bytes(databases: Databases, tcp_proxy: Callable[[int], TcpProxy]) -> None:
    """`cut_after` breaks a long read in its midst, past the bytes asked for."""
    proxy = tcp_proxy(databases.server.port)
    with _connect(proxy.through(databases.source)) as conn:
        proxy.cut_after(1_000_000)
        with pytest.raises(psycopg.OperationalError):
            conn.execute("SELECT repeat('x', 1000) FROM generate_series(1, 10000)")
    assert 1_000_000 <= proxy.forwarded < 2_000_000


def test_proxy_stalls_and_goes_on(databases: Databases, tcp_proxy: Callable[[int], TcpProxy]) -> None:
    """`stall` keeps a session waiting without an error; `resume` lets its answer through."""
    proxy = tcp_proxy(databases.server.port)
    with _connect(proxy.through(databases.source)) as conn:
        proxy.stall()
        answers: list[object] = []
        asking = threading.Thread(target=lambda: answers.append(conn.execute("SELECT 1").fetchone()))
        asking.start()
        asking.join(timeout=0.5)
        assert answers == []
        proxy.resume()
        asking.join(timeout=10)
        assert answers == [(1,)]


def test_proxy_in_front_of_elasticsearch(indices: Indices, tcp_proxy: Callable[[int], TcpProxy]) -> None:
    """HTTP passes through the proxy as well."""
    proxy = tcp_proxy(indices.server.port)
    assert indices.client.options(request_timeout=10).cluster.health()["status"] in {"yellow", "green"}
    assert proxy.through(indices.address).port == proxy.port != indices.server.port
