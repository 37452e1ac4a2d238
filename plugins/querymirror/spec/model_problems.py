"""Turns pydantic's errors into problems with a line and a way out."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.problems import Problems, listed, quoted, suggestion
from querymirror.spec.settings import Settings
from querymirror.spec.target import ElasticsearchTarget, PostgresTarget
from querymirror.spec.yaml_lines import Path

TARGETS: dict[str, type[BaseModel]] = {"postgres": PostgresTarget, "elasticsearch": ElasticsearchTarget}
# Set by the loader or by the second form, never written in a spec of the first one.
NOT_WRITTEN = {"id", "key_columns", "transform_code", "columns", "update_columns"}

_SHAPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping of fields",
    "model_attributes_type": "a mapping of fields",
}


def add_model_problems(error: ValidationError, problems: Problems, below: Path = ()) -> None:
    """Adds each error of the model to the problems, except of fields whose problem is known already."""
    root: type[BaseModel] = Settings if error.title == "Settings" else PipelineSpec
    for detail in error.errors(include_url=False):
        path = _field_path(detail["type"], detail["loc"], root)
        if problems.told((*below, *path)) or any(problems.told((*below, *path[:end])) for end in range(1, len(path))):
            continue
        what, fix = _say(detail, path, root)
        problems.add((*below, *path), what, fix)


def _field_path(kind: str, loc: tuple[int | str, ...], root: type[BaseModel]) -> Path:
    """Returns the path in the file: pydantic puts the union's tag behind `target`."""
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        return (*loc, "type")
    if root is PipelineSpec and len(loc) > 1 and loc[0] == "target" and loc[1] in TARGETS:
        return (loc[0], *loc[2:])
    return loc


def fields_at(path: Path, loc: tuple[int | str, ...], root: type[BaseModel]) -> list[str]:
    """Returns the fields that the mapping at a path may have."""
    model: Any = root
    if path[:1] == ("target",) and root is PipelineSpec:
        model = TARGETS.get(str(loc[1]) if len(loc) > 1 else "")
    elif path:
        for part in path:
            if isinstance(part, str) and model is not None:
                model = _model_of(model.model_fields[part].annotation) if part in model.model_fields else None
    return [] if model is None else [n for n in model.model_fields if n not in NOT_WRITTEN]


def _model_of(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in {tuple, list, typing.Union, types.UnionType}:
        return next((m for a in typing.get_args(annotation) if (m := _model_of(a)) is not None), None)
    return None


def _say(detail: ErrorDetails, path: Path, root: type[BaseModel]) -> tuple[str, str]:
    kind = detail["type"]
    if kind in _SAID:
        return _SAID[kind](detail, path, root)
    if kind in _SHAPES:
        return f"{quoted(detail['input'])} is not {_SHAPES[kind]}.", f"Write {_SHAPES[kind]}."
    return f"{quoted(detail['input'])}: {detail['msg']}.", "Correct the value; docs/spec.md has an example of each field."


def _extra(detail: ErrorDetails, path: Path, root: type[BaseModel]) -> tuple[str, str]:
    fields = fields_at(path[:-1], detail["loc"], root)
    return "there is no such field.", suggestion(str(path[-1]), fields, f"Use one of: {listed(fields)}.")


def _missing(_detail: ErrorDetails, path: Path, _root: type[BaseModel]) -> tuple[str, str]:
    return "the field is missing.", f"Add {path[-1]}; docs/spec.md has an example."


def _literal(detail: ErrorDetails, _path: Path, _root: type[BaseModel]) -> tuple[str, str]:
    valid = str(detail.get("ctx", {}).get("expected", "")).replace("'", "").replace(" or ", ", ")
    return f"{quoted(detail['input'])} is not a value it takes.", suggestion(str(detail["input"]), valid.split(", "), f"Use one of: {valid}.")


def _tag(detail: ErrorDetails, _path: Path, _root: type[BaseModel]) -> tuple[str, str]:
    given = detail["input"].get("type") if isinstance(detail["input"], dict) else None
    if given is None:
        return "the field is missing.", f"Add type, one of: {listed(TARGETS)}."
    return f"{quoted(given)} is not a type of target.", suggestion(str(given), TARGETS, f"Use one of: {listed(TARGETS)}.")


def _range(detail: ErrorDetails, _path: Path, _root: type[BaseModel]) -> tuple[str, str]:
    context = detail.get("ctx", {})
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    wanted = ", ".join(f"{words[k]} {v:,g}" for k, v in context.items() if k in words)
    return f"{quoted(detail['input'])} is out of range.", f"Write a number that is {wanted}."


def _too_short(_detail: ErrorDetails, _path: Path, _root: type[BaseModel]) -> tuple[str, str]:
    return "it is empty.", "Name at least one."


def _empty_text(_detail: ErrorDetails, _path: Path, _root: type[BaseModel]) -> tuple[str, str]:
    return "it is empty.", "Write a name."


def _pattern(detail: ErrorDetails, _path: Path, _root: type[BaseModel]) -> tuple[str, str]:
    return f"{quoted(detail['input'])} is not a name it takes.", f"Match {detail.get('ctx', {}).get('pattern', '')}."


def _duration(detail: ErrorDetails, _path: Path, _root: type[BaseModel]) -> tuple[str, str]:
    return f"{quoted(detail['input'])} is not a duration.", "Write a number with s, m or h, such as 2s; or a number of seconds."


_SAID: dict[str, Callable[[ErrorDetails, Path, type[BaseModel]], tuple[str, str]]] = {
    "duration": _duration,
    "extra_forbidden": _extra,
    "missing": _missing,
    "literal_error": _literal,
    "union_tag_invalid": _tag,
    "union_tag_not_found": _tag,
    "greater_than": _range,
    "greater_than_equal": _range,
    "less_than": _range,
    "less_than_equal": _range,
    "too_short": _too_short,
    "string_too_short": _empty_text,
    "string_pattern_mismatch": _pattern,
}
