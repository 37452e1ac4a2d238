"""Five-field cron expressions, checked without importing Airflow; everything accepted here croniter takes too."""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

_MONTHS = {name: n for n, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)}
_DAYS = {name: n for n, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_ITEM = re.compile(r"(?P<low>\*|\w+)(?:-(?P<high>\w+))?(?:/(?P<step>\d{1,4}))?\Z")
_HASHED = re.compile(r"[Hh](?:/(?P<step>[0-9]{1,2}))?\Z")
_DAYS_IN_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    words: dict[str, int]


_FIELDS = (
    _Field("minute", 0, 59, {}),
    _Field("hour", 0, 23, {}),
    _Field("day of month", 1, 31, {}),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 7, _DAYS),
)


def spread(text: str, name: str) -> str:
    """Returns a cron expression with each `H` of minute and hour replaced: `H` by one number of the field's, `H/5` by every fifth from one on.

    Which one depends on the name alone, so that the pipelines of a folder don't all begin at the same moment, and each keeps its own.
    """
    parts = text.split()
    for place, field in enumerate(_FIELDS[:2]):
        match = _HASHED.match(parts[place]) if len(parts) == len(_FIELDS) else None
        step = int(match["step"] or 0) if match else 0
        if match is None or (match["step"] and not 1 <= step <= field.high):
            continue  # cron_problem says what is wrong
        first = zlib.crc32(f"{field.name} {name}".encode()) % (step or field.high + 1)
        parts[place] = f"{first}-{field.high}/{step}" if step else str(first)
    return " ".join(parts)


def cron_problem(text: str) -> str | None:
    """Returns what is wrong with a cron expression, None if nothing is."""
    parts = text.split()
    if len(parts) != len(_FIELDS):
        return f"it has {len(parts)} field(s), not five"
    values: list[set[int]] = []
    for part, field in zip(parts, _FIELDS, strict=True):
        found: set[int] = set()
        for item in part.split(","):
            numbers = _numbers(item, field)
            if isinstance(numbers, str):
                return numbers
            found |= numbers
        values.append(found)
    if parts[4] == "*" and not any(day <= _DAYS_IN_MONTH[month - 1] for day in values[2] for month in values[3]):
        return "it names a day that none of its months has"
    return None


def _numbers(item: str, field: _Field) -> set[int] | str:
    """Returns the numbers that an item of a field stands for, or what is wrong with it."""
    match = _ITEM.match(item.lower())
    if match is None or (match["low"] == "*" and match["high"]):
        return f"{item!r} is not a {field.name}"
    low = field.low if match["low"] == "*" else _number(match["low"], field)
    high = field.high if match["low"] == "*" else _number(match["high"], field) if match["high"] else low
    if low is None or high is None:
        return f"{item!r} is not a {field.name} ({field.low} to {field.high})"
    step = int(match["step"] or 1)
    if match["step"] and match["low"] != "*" and not match["high"]:
        return f"{item!r}: a step needs a range or *, such as */{step}"
    if low > high:
        return f"{item!r} runs backwards"
    if step == 0 or step > field.high:
        return f"{item!r} has a step of {step}, which a {field.name} can't make"
    return set(range(low, high + 1, step))


def _number(text: str, field: _Field) -> int | None:
    if text in field.words:
        return field.words[text]
    if not re.fullmatch(r"[0-9]{1,2}", text):
        return None
    number = int(text)
    return number if field.low <= number <= field.high else None
