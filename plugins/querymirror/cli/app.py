"""Puts the commands together; only the one that is called is imported, so that `validate` doesn't wait for drivers it never uses."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
from importlib import import_module

import typer

COMMANDS = ("new", "validate", "plan", "run", "verify", "status", "rejects", "schema")
"""One module of this package each, with `register(app)`."""


def create_app(commands: Iterable[str] = COMMANDS) -> typer.Typer:
    """Returns the command line with these commands."""
    app = typer.Typer(name="querymirror", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(querymirror)
    for name in commands:
        import_module(f"querymirror.cli.{name}").register(app)
    return app


def querymirror() -> None:
    """Keep PostgreSQL tables and Elasticsearch indices equal to SQL queries."""


def main() -> None:
    """Runs the command that the arguments name; exits with its status."""
    called = sys.argv[1] if len(sys.argv) > 1 else ""
    app = create_app([called] if called in COMMANDS else COMMANDS)
    gc.freeze()
    gc.enable()
    app(prog_name="querymirror")
