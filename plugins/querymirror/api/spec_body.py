"""Reads a spec from a request: JSON or YAML."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from querymirror.api.bodies import MaybeSpecBody, NewSpecBody, SpecBody
from querymirror.api.security import ID_PATTERN
from querymirror.api.services.specs import as_yaml
from querymirror.errors import RequestError

Model = TypeVar("Model", bound=BaseModel)
_YAML = {"application/yaml", "application/x-yaml", "text/yaml"}


@dataclass(frozen=True)
class GivenSpec:
    """A spec that a request brings, and the id of its pipeline."""

    pipeline: str
    text: str


async def given_spec(request: Request) -> GivenSpec:
    """Returns the spec of a request: the address names the pipeline, or the body, or, beside YAML, `?id=`.

    Raises:
        RequestError: the body can't be read, or the name can't name a pipeline.
    """
    pipeline = request.path_params.get("pipeline")
    if _kind(request) in _YAML:
        return GivenSpec(_checked(pipeline or request.query_params.get("id", "")), _text(await request.body()))
    data = await _json(request)
    if pipeline is not None:
        return GivenSpec(_checked(pipeline), as_yaml(_model(SpecBody, data).spec))
    new = _model(NewSpecBody, data)
    return GivenSpec(_checked(new.id), as_yaml(new.spec))


async def maybe_spec(request: Request) -> str | None:
    """Returns the text of the spec that a request brings, None where it brings none.

    Raises:
        RequestError: the body can't be read.
    """
    if _kind(request) in _YAML:
        return _text(await request.body())
    if not await request.body():
        return None
    found = _model(MaybeSpecBody, await _json(request)).spec
    return None if found is None else as_yaml(found)


GivenSpecDep = Annotated[GivenSpec, Depends(given_spec)]
MaybeSpecDep = Annotated[str | None, Depends(maybe_spec)]


def spec_in(model: type[BaseModel]) -> dict[str, Any]:
    """Returns what OpenAPI says of the body of a route that takes a spec."""
    content = {"application/json": {"schema": model.model_json_schema()}, "application/yaml": {"schema": {"type": "string"}}}
    return {"requestBody": {"content": content}}


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "application/json").split(";")[0].strip().lower()


def _checked(name: str) -> str:
    if not re.fullmatch(ID_PATTERN, name):
        message = "this can't name a pipeline."
        raise RequestError(message, status=422, code="bad_name", where="id", fix="Use a letter, then letters, digits, '_', '-' and '.', up to 200.")
    return name


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise _unreadable("the body is not UTF-8.") from err


async def _json(request: Request) -> Any:
    if _kind(request) != "application/json":
        message = f"a spec is sent as JSON or YAML, not as {_kind(request)[:60]!r}."
        raise RequestError(message, status=415, code="wrong_type", where="Content-Type", fix="Send application/json or application/yaml.")
    try:
        return json.loads(await request.body())
    except (ValueError, RecursionError) as err:
        raise _unreadable("the body is not JSON, or too deep.") from err


def _model(model: type[Model], data: Any) -> Model:
    try:
        return model.model_validate(data)
    except ValidationError as err:
        first = err.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        message, fix = f"{first['msg']}.", "Send {id, spec}, or {spec} to a pipeline's own address."
        raise RequestError(message, status=422, code="bad_request", where=where, fix=fix) from err


def _unreadable(what: str) -> RequestError:
    return RequestError(what, status=400, code="bad_request", fix="Send the spec as JSON or as YAML in UTF-8.")
