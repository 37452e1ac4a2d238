"""Durations as people write them: `2s`, `1.5m`, or a number of seconds."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

PATTERN = r"^[0-9]+(\.[0-9]+)?(s|m|h)$"
_UNITS = {"s": 1, "m": 60, "h": 3600}
_WRITTEN = re.compile(PATTERN)


def seconds_of(value: object) -> object:
    """Returns the seconds of a duration that was written as text; what is no text is left to the model.

    Raises:
        PydanticCustomError: the text, or a truth value, is no duration.
    """
    if isinstance(value, str) and _WRITTEN.match(value):
        return float(value[:-1]) * _UNITS[value[-1]]
    if isinstance(value, str | bool):
        raise PydanticCustomError("duration", "not a duration")
    return value


_Seconds = Annotated[float, Field(ge=1, le=3600)]
_Written = _Seconds | Annotated[str, Field(pattern=PATTERN)] | None
Interval = Annotated[_Seconds | None, BeforeValidator(seconds_of, json_schema_input_type=_Written)]
"""Seconds between two looks, from 1 to 3600; None = never."""
