"""JSON Schemas of a spec, in both of its forms, and of settings.yaml, made from the models: editors complete and check with them.

A schema says what can be said without reading SQL files, connecting or looking at other specs; `validate` says the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from querymirror.spec.defaults import CONNECTIONS, DEFAULTABLE
from querymirror.spec.model_problems import NOT_WRITTEN
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.schema_texts import EXAMPLES, TEXTS, UPPER
from querymirror.spec.settings import Settings
from querymirror.spec.source import PostgresSource
from querymirror.spec.target import ElasticsearchTarget, PostgresTarget
from querymirror.spec.upper_form import LOWER_KEYS, UPPER_KEYS

DRAFT = "http://json-schema.org/draft-07/schema#"  # the newest that the YAML language server knows in full
_REF = "#/definitions/{model}"
_SQL = {"type": "string", "minLength": 1}
# What the loader turns into these models is written as one value.
_WRITTEN_AS: dict[str, dict[str, Any]] = {"SqlText": _SQL}
_WORDS = ["yes", "no", "on", "off"]  # taken for true and false where the model wants a truth value

Schema = dict[str, Any]


def spec_schema() -> Schema:
    """Returns the JSON Schema of a spec file: the second form where one of its upper-case fields stands there, else the first."""
    made = PipelineSpec.model_json_schema(ref_template=_REF, mode="validation")
    definitions = {name: _cleaned(d, name) for name, d in made["$defs"].items() if name not in {*_WRITTEN_AS, "CodeText"}}
    for name in ("PostgresSource", "PostgresTarget", "ElasticsearchTarget"):
        # settings.yaml may give the connections
        definitions[name]["required"] = [field for field in definitions[name]["required"] if field != "conn_id"]
    first = _cleaned({k: v for k, v in made.items() if k != "$defs"}, "PipelineSpec")
    first["properties"]["target"] = {
        **_texts("PipelineSpec", "target"),
        "oneOf": [{"$ref": _REF.format(model=model.__name__)} for model in (PostgresTarget, ElasticsearchTarget)],
    }
    first["properties"]["source"] = {**_texts("PipelineSpec", "source"), "allOf": [{"$ref": _REF.format(model=PostgresSource.__name__)}]}
    first["properties"]["paused"]["enum"] = [True, False, *_WORDS]
    del first["properties"]["paused"]["type"]
    definitions |= {"FirstForm": first, "SecondForm": _second_form(first["properties"])}
    return {
        "$schema": DRAFT,
        "title": "A pipeline of querymirror",
        "description": "One file in include/jobs is one pipeline; docs/spec.md tells more of each field.",
        "if": {"anyOf": [{"required": [name]} for name in UPPER_KEYS]},
        "then": {"$ref": _REF.format(model="SecondForm")},
        "else": {"$ref": _REF.format(model="FirstForm")},
        "definitions": definitions,
    }


def settings_schema() -> Schema:
    """Returns the JSON Schema of include/settings.yaml."""
    made = Settings.model_json_schema(ref_template=_REF, mode="validation")
    fields = spec_schema()["definitions"]["FirstForm"]["properties"]
    defaults = {name: fields[name] for name in DEFAULTABLE if name in fields}
    defaults |= {name: {"type": "string", "minLength": 1, **UPPER[name]} for name in CONNECTIONS}
    root = _cleaned({k: v for k, v in made.items() if k != "$defs"}, "Settings")
    root["properties"]["defaults"] = {**_texts("Settings", "defaults"), "type": "object", "properties": defaults, "additionalProperties": False}
    return {
        "$schema": DRAFT,
        "title": "include/settings.yaml of querymirror",
        **root,
        "definitions": {name: _cleaned(d, name) for name, d in made["$defs"].items()},
    }


def _second_form(fields: Mapping[str, Schema]) -> Schema:
    own = {name: {**_SQL, **UPPER[name]} for name in (*UPPER_KEYS, *CONNECTIONS)}
    own["KEY_COLUMNS"] = {"anyOf": [{"type": "array", "items": {"type": "string"}, "minItems": 1}, _SQL], **UPPER["KEY_COLUMNS"]}
    return {
        "type": "object",
        "description": "The second form: the statements themselves.",
        "properties": own | {name: fields[name] for name in LOWER_KEYS if name in fields},
        "required": list(UPPER_KEYS),
        "additionalProperties": False,
    }


def _cleaned(schema: Schema, model: str) -> Schema:
    """Returns a model's schema with the fields that a file may hold, each with a description and examples."""
    fields = {name: _field(field, model, name) for name, field in schema["properties"].items() if name not in NOT_WRITTEN}
    required = [name for name in schema.get("required", ()) if name in fields]
    return {"type": "object", "description": schema["description"].split("\n")[0], "properties": fields, "required": required, "additionalProperties": False}


def _field(field: Schema, model: str, name: str) -> Schema:
    if name == "index_config":
        shape: Schema = {"anyOf": [{"type": "string", "pattern": r"\.json$"}, {"type": "object"}, {"type": "null"}], "default": None}
    else:
        shape = {key: _written(value) for key, value in field.items() if key not in {"title", "description"}}
    reference = shape.pop("$ref", None)
    if isinstance(reference, str):  # draft 7 looks at nothing that stands beside $ref
        shape |= _WRITTEN_AS.get(reference.rpartition("/")[2], {"allOf": [{"$ref": reference}]})
    if shape.get("type") == "array" and shape.get("items") == {"type": "string"}:
        shape["uniqueItems"] = True
    said = field.get("description")
    return {**({"description": said} if said else {}), **_texts(model, name), **shape}


def _written(value: Any) -> Any:
    if isinstance(value, list):
        return [_written(item) for item in value]
    if isinstance(value, dict):
        name = str(value.get("$ref", "")).rpartition("/")[2]
        return _WRITTEN_AS.get(name) or {k: _written(v) for k, v in value.items() if k != "title"}
    return value


def _texts(model: str, name: str) -> Schema:
    said = TEXTS.get((model, name))
    return {**({"description": said} if said else {}), "examples": EXAMPLES[model, name]}


def described(model: type[BaseModel]) -> set[str]:
    """Returns the fields of a model that a file may hold."""
    return {name for name in model.model_fields if name not in NOT_WRITTEN}
