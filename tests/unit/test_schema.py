"""The JSON Schemas that editors use are those of the models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from querymirror.spec.schema import described, settings_schema, spec_schema
from querymirror.spec.settings import AllowedTarget, Settings
from querymirror.spec.source import Change, PostgresSource
from querymirror.spec.target import ElasticsearchTarget, PostgresTarget
from querymirror.spec.upper_form import LOWER_KEYS, UPPER_KEYS
from querymirror.spec.yaml_lines import read_yaml

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests" / "cases" / "specs"
SPEC, SETTINGS = spec_schema(), settings_schema()
AGAIN = "make it again: python -m querymirror schema"


def fields(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields every field of every object that a schema describes."""
    if isinstance(schema, dict):
        for name, field in schema.get("properties", {}).items():
            yield f"{path}.{name}", field
        for name, part in schema.items():
            if name not in {"examples", "default"}:
                yield from fields(part, f"{path}.{name}" if name != "properties" else path)


@pytest.mark.parametrize(("name", "schema"), [("spec", SPEC), ("settings", SETTINGS)])
def test_committed_schema_is_the_models(name: str, schema: dict[str, Any]) -> None:
    """The file beside the specs is what the models give now, and a JSON Schema."""
    committed = (ROOT / "include" / f"{name}.schema.json").read_text(encoding="utf-8")
    assert json.loads(committed) == schema, f"{AGAIN} --of {name} > include/{name}.schema.json"
    Draft7Validator.check_schema(schema)


@pytest.mark.parametrize("schema", [SPEC, SETTINGS], ids=["spec", "settings"])
def test_every_field_has_a_description_and_examples(schema: dict[str, Any]) -> None:
    """Whatever field the pointer stands on, the editor has words and a value that fits."""
    found = dict(fields(schema))
    assert [path for path, field in found.items() if not field.get("description") or not field.get("examples")] == []
    for path, field in found.items():
        validator = Draft7Validator({**field, "definitions": schema["definitions"]})
        assert [e for e in field["examples"] if not validator.is_valid(e)] == [], path


@pytest.mark.parametrize("model", [PostgresSource, PostgresTarget, ElasticsearchTarget, Change], ids=lambda m: m.__name__)
def test_no_field_is_missing(model: Any) -> None:
    """Each part has the fields of its model, those of the loader left out."""
    assert set(SPEC["definitions"][model.__name__]["properties"]) == described(model)


def test_no_field_of_the_other_parts_is_missing() -> None:
    """The second form and the settings have theirs."""
    assert set(SPEC["definitions"]["SecondForm"]["properties"]) == set(UPPER_KEYS) | (set(LOWER_KEYS) - {"transform_code"})
    assert set(SETTINGS["properties"]) == set(Settings.model_fields)
    assert set(SETTINGS["definitions"]["AllowedTarget"]["properties"]) == set(AllowedTarget.model_fields)


@pytest.mark.parametrize("file", sorted([*(ROOT / "include" / "jobs").glob("*.yaml"), *(CASES / "valid").glob("*.yaml")]), ids=lambda f: f.name)
def test_good_specs_fit(file: Path) -> None:
    """What the loader takes the schema takes too."""
    assert [e.message for e in Draft7Validator(SPEC).iter_errors(read_yaml(file.read_bytes()).value)] == []


def test_settings_fit() -> None:
    """The shipped settings fit their schema."""
    assert Draft7Validator(SETTINGS).is_valid(read_yaml((ROOT / "include" / "settings.yaml").read_bytes()).value)


@pytest.mark.parametrize(
    "name",
    ["enum", "empty_conn_id", "missing_parts", "no_primary_key", "numbers", "own_fields", "primary_key_twice", "change_name", "query_not_text", "watch_word"],
)
def test_bad_specs_do_not_fit(name: str) -> None:
    """What breaks a rule of form is seen in the editor already."""
    assert not Draft7Validator(SPEC).is_valid(read_yaml((CASES / "invalid" / f"{name}.yaml").read_bytes()).value)


@pytest.mark.parametrize("file", sorted((ROOT / "include" / "jobs").glob("*.yaml")), ids=lambda f: f.name)
def test_shipped_specs_name_the_schema(file: Path) -> None:
    """Each shipped spec tells the YAML language server where its schema is, in the first line."""
    first = file.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (file.parent / first.partition("$schema=")[2]).resolve() == ROOT / "include" / "spec.schema.json"
