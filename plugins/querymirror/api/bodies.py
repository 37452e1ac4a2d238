"""What the API takes."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from querymirror.records import Mode

MAX_REJECT_KEYS = 10_000


class Body(BaseModel):
    """A request's body; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class SpecBody(Body):
    """A spec, as YAML text or as JSON."""

    spec: Annotated[dict[str, Any] | str, Field(description="YAML text, or the same as a JSON object.")]


class NewSpecBody(SpecBody):
    """A spec and the pipeline's id, which is the name of its file."""

    id: str


class MaybeSpecBody(Body):
    """A spec that is tried instead of the one in the file."""

    spec: Annotated[dict[str, Any] | str | None, Field(description="YAML text or a JSON object; left out = the file's own.")] = None


class WindowBody(Body):
    """Cursor values: low included, high not; one may be left out."""

    low: Annotated[str | None, Field(max_length=200)] = None
    high: Annotated[str | None, Field(max_length=200)] = None


class RunBody(Body):
    """What a run is asked to do."""

    mode: Mode = "incremental"
    window: WindowBody | None = None
    allow_mass_delete: bool = False


class KeysBody(Body):
    """Which rejects; None = all of them."""

    keys: Annotated[list[Annotated[str, Field(max_length=10_000)]] | None, Field(max_length=MAX_REJECT_KEYS)] = None
