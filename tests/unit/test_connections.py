"""Addresses from AIRFLOW_CONN_*, without Airflow."""

from __future__ import annotations

import json

import pytest

from querymirror.connections import address_from_env
from querymirror.errors import TerminalError


def test_uri() -> None:
    """Escaped parts are read as Airflow reads them."""
    found = address_from_env("db", {"AIRFLOW_CONN_DB": "postgresql://us%40er:p%2Fw@host:6000/data%20base?sslmode=require"})
    assert (found.conn_type, found.host, found.port, found.login, found.password, found.schema) == ("postgres", "host", 6000, "us@er", "p/w", "data base")
    assert found.extra == {"sslmode": "require"}


def test_json() -> None:
    """Airflow's other form; `extra` may be text."""
    text = json.dumps({"conn_type": "elasticsearch", "host": "es", "port": 9201, "schema": "https", "extra": json.dumps({"api_key": "k"})})
    found = address_from_env("es", {"AIRFLOW_CONN_ES": text})
    assert (found.conn_type, found.host, found.port, found.schema, found.extra) == ("elasticsearch", "es", 9201, "https", {"api_key": "k"})


def test_password_is_never_shown() -> None:
    """Neither the password nor the extra fields stand in the repr."""
    found = address_from_env("db", {"AIRFLOW_CONN_DB": "postgresql://u:secret@h/d?sslpassword=hidden"})
    assert "secret" not in repr(found)
    assert "hidden" not in repr(found)


def test_missing_connection_says_which_variable() -> None:
    """The error names the variable and shows its form."""
    with pytest.raises(TerminalError) as caught:
        address_from_env("movies_db", {})
    assert str(caught.value) == "connection 'movies_db' is not set. Set AIRFLOW_CONN_MOVIES_DB, for example to postgresql://user:password@host:5432/database."


def test_unreadable_connection_does_not_show_itself() -> None:
    """A broken value may hold a password; only the variable's name is told."""
    with pytest.raises(TerminalError) as caught:
        address_from_env("db", {"AIRFLOW_CONN_DB": "postgresql://u:secret@h:port/d"})
    assert "secret" not in str(caught.value)
    assert "AIRFLOW_CONN_DB" in str(caught.value)
