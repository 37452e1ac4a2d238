"""`python -m querymirror schema`: the JSON Schemas for editors."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from querymirror.cli.output import print_json
from querymirror.spec.schema import settings_schema, spec_schema


def schema(
    of: Annotated[Literal["spec", "settings"], typer.Option(help="Of a spec in include/jobs, or of include/settings.yaml.")] = "spec",
) -> None:
    """Print the JSON Schema of a spec file, both forms; include/spec.schema.json is its output.

    Exit status: 0.
    """
    print_json(spec_schema() if of == "spec" else settings_schema())


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(schema)
