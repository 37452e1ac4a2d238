"""Addresses of servers, read from `AIRFLOW_CONN_*` without importing Airflow.

Tasks get the same values through Airflow's hooks (`operators/connections.py`); this module serves the command line,
the tests and the benchmarks, which must start fast.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from querymirror.errors import TerminalError


@dataclass(frozen=True)
class Address:
    """Where a server is and how to log in; its `repr` shows no password.

    Args:
        conn_id: the Airflow connection it came from.
        conn_type: `postgres` or `elasticsearch`.
        schema: the database's name for PostgreSQL; `http` or `https` for Elasticsearch.
        extra: the connection's extra fields, `sslmode` for example.
    """

    conn_id: str
    conn_type: str
    host: str
    port: int | None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    schema: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


def from_connection(connection: Any) -> Address:
    """Returns an Airflow connection as an address.

    Args:
        connection: of `airflow.sdk` or of `airflow.models`; both have the same fields.
    """
    return Address(
        conn_id=connection.conn_id,
        conn_type=connection.conn_type or "",
        host=connection.host or "localhost",
        port=connection.port,
        login=connection.login,
        password=connection.password,
        schema=connection.schema,
        extra=connection.extra_dejson,
    )


def address_from_env(conn_id: str, environ: Mapping[str, str] = os.environ) -> Address:
    """Reads `AIRFLOW_CONN_<ID>`, as a URI or as JSON.

    Raises:
        TerminalError: the variable is missing or can't be read.
    """
    name = f"AIRFLOW_CONN_{conn_id.upper()}"
    text = environ.get(name)
    if not text:
        message = f"connection {conn_id!r} is not set."
        raise TerminalError(message, fix=f"Set {name}, for example to postgresql://user:password@host:5432/database.")
    try:
        return _from_json(conn_id, text) if text.lstrip().startswith("{") else _from_uri(conn_id, text)
    except ValueError as err:
        message = f"{name} can't be read as a connection."
        raise TerminalError(message, fix="Write it as a URI (postgresql://user:password@host:5432/database) or as JSON.") from err


def _from_json(conn_id: str, text: str) -> Address:
    data = json.loads(text)
    extra = data.get("extra") or {}
    return Address(
        conn_id=conn_id,
        conn_type=data.get("conn_type") or "",
        host=data.get("host") or "localhost",
        port=int(data["port"]) if data.get("port") else None,
        login=data.get("login"),
        password=data.get("password"),
        schema=data.get("schema"),
        extra=json.loads(extra) if isinstance(extra, str) else extra,
    )


def _from_uri(conn_id: str, text: str) -> Address:
    parts = urlsplit(text)
    query = dict(parse_qsl(parts.query))
    if "__extra__" in query:
        query = json.loads(query["__extra__"])
    scheme = parts.scheme.replace("-", "_")
    return Address(
        conn_id=conn_id,
        conn_type="postgres" if scheme in {"postgres", "postgresql"} else scheme,
        host=unquote(parts.hostname or "localhost"),
        port=parts.port,
        login=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        schema=unquote(parts.path.lstrip("/")) or None,
        extra=query,
    )
