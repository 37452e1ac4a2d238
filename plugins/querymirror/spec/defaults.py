"""include/settings.yaml, and the defaults it gives to specs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from querymirror.errors import SpecError, SpecTextError
from querymirror.spec.model_problems import add_model_problems
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.problems import Problems, fail, listed, shown, suggestion
from querymirror.spec.settings import Settings
from querymirror.spec.yaml_lines import Document, read_yaml

SETTINGS_FILE = "settings.yaml"
CONNECTIONS = {"source_conn_id": "source", "target_conn_id": "target"}
_OWN = {"id", "source", "target", "key_columns", "keys_sql", "description", "transform", "transform_code"}
DEFAULTABLE = tuple(sorted([*CONNECTIONS, *(name for name in PipelineSpec.model_fields if name not in _OWN)]))

PROBE: dict[str, Any] = {
    "id": "x",
    "source": {"conn_id": "x", "query": {"text": "x"}, "primary_key": ["x"]},
    "target": {"type": "postgres", "conn_id": "x", "table": "x"},
}
"""A spec of nothing, for the model to look at fields that stand alone."""


def load_settings(include: Path) -> Settings:
    """Reads include/settings.yaml; without it there are no defaults, and nothing may be written.

    Raises:
        SpecError: with every problem of the file.
    """
    file = include / SETTINGS_FILE
    if not file.exists():
        return Settings()
    problems = Problems(shown(file, include), read_document(file, include))
    data = problems.document.value
    if not isinstance(data, dict):
        problems.add((), "settings are a mapping of fields to values.", f"Write {listed(Settings.model_fields)}.")
    else:
        _check_defaults(data.get("defaults"), problems)
    problems.raise_if_any()
    try:
        return Settings.model_validate_json(json.dumps({k: v for k, v in data.items() if v is not None}), strict=True)
    except ValidationError as err:
        add_model_problems(err, problems)
        raise SpecError(problems.found) from err


def read_document(file: Path, include: Path) -> Document:
    """Reads a YAML file of the include folder.

    Raises:
        SpecError: it can't be read, or is no YAML document.
    """
    name = shown(file, include)
    try:
        return read_yaml(file.read_bytes())
    except OSError as err:
        fail(name, 0, f"the file can't be read: {err.strerror or err}.", "Check that it exists, is a file and may be read.")
    except SpecTextError as err:
        fail(name, err.at, err.what, err.fix)


def _check_defaults(defaults: object, problems: Problems) -> None:
    """Checks the values of defaults as if one spec had them all, so that a wrong one is told once and here."""
    tell_repeated(problems)
    if not isinstance(defaults, dict):
        return
    known: dict[str, Any] = {}
    for name, value in defaults.items():
        if name not in DEFAULTABLE:
            fix = suggestion(name, DEFAULTABLE, f"Remove it, or use one of: {listed(DEFAULTABLE)}.")
            problems.add(("defaults", name), "there is no such default.", fix)
        elif name in CONNECTIONS:
            if not isinstance(value, str) or not value:
                problems.add(("defaults", name), f"{value!r} is not a connection id.", "Name an Airflow connection.")
        else:
            known[name] = value
    try:
        PipelineSpec.model_validate_json(json.dumps(PROBE | known), strict=True)
    except ValidationError as err:
        add_model_problems(err, problems, below=("defaults",))


def tell_repeated(problems: Problems) -> None:
    """Tells the keys that stand twice in one mapping."""
    for twice in problems.document.repeated:
        what = f"the key stands twice, here and in line {twice.first_line}."
        problems.add_at(problems.file, twice.line, twice.path, what, "Remove one of them.")


def with_defaults(data: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Returns a spec's fields with those that it leaves out taken from the settings."""
    filled = {name: value for name, value in settings.defaults.items() if name not in CONNECTIONS} | data
    for name, part in CONNECTIONS.items():
        given = filled.get(part)
        if name in settings.defaults and isinstance(given, dict) and "conn_id" not in given:
            filled[part] = {**given, "conn_id": settings.defaults[name]}
    return filled
