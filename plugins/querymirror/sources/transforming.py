"""Calls a transform over rows and finds those that it fails on."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from json import JSONDecoder
from typing import Any, Self

import orjson

from querymirror.errors import TransformError
from querymirror.transforms import Batch, Function, Row, never_drops, traced

REASON_CHARACTERS = 4_000  # of a traceback that is kept
DIGITS = 4_000  # of a whole number; Python reads no longer ones
_SMALL = re.compile(r"-?[0-9]{1,18}\Z")
_PLAIN: tuple[type[Any], ...] = (str, int, float, list, tuple, dict)
_OPTIONS = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_NON_STR_KEYS


class _Exact(float):
    """A number as it stands in JSON; a double for whoever calculates with it, the same digits again where nobody touched it."""

    text: str

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text
        return number


class _Big(int):
    """A whole number that orjson doesn't write."""


def _whole(text: str) -> int | _Exact:
    if _SMALL.match(text) and text != "-0":
        return int(text)
    if text == "-0" or len(text) > DIGITS:
        return _Exact(text)
    number = int(text)
    return number if -(2**63) <= number < 2**64 else _Big(number)


_decode = JSONDecoder(parse_float=_Exact, parse_int=_whole).decode


def _encode_other(value: Any) -> Any:
    if isinstance(value, _Exact | _Big):
        return orjson.Fragment(value.text if isinstance(value, _Exact) else str(value))
    for plain in _PLAIN:
        if isinstance(value, plain):
            return plain(value)
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(format(value, "f"))
    message = f"{type(value).__name__} has no form in JSON"
    raise TypeError(message)


def encode(value: object) -> bytes:
    """Returns JSON on one line; numbers that were read keep their digits."""
    return orjson.dumps(value, default=_encode_other, option=_OPTIONS)


@dataclass(frozen=True)
class RawRow:
    """A row as the query gives it.

    Attributes:
        action: the line that goes before a document in a bulk body; empty where there is none.
        id: the primary key as text, for several columns a JSON array.
        document: JSON on one line.
    """

    action: bytes
    id: str
    document: bytes


@dataclass
class Outcome:
    """What became of some rows; those that stand in neither list were dropped."""

    kept: list[tuple[RawRow, bytes]] = field(default_factory=list)
    refused: list[tuple[RawRow, str]] = field(default_factory=list)


class Transform:
    """A function and the rules for what it returns.

    Args:
        function: the author's.
        key: the primary key's columns.
        fields: what a row may hold in the end; None = anything.
    """

    def __init__(self, function: Function, key: Sequence[str], fields: Collection[str] | None = None) -> None:
        self._function, self._key, self._fields = function, key, fields
        self.keeps_all_rows = never_drops(function)

    def apply(self, rows: Sequence[RawRow]) -> Outcome:
        """Calls the function once for all rows; where that fails, once for each, so that only rows which fail alone are refused."""
        with suppress(TransformError):  # its reason comes again, with the row
            return Outcome(kept=self._call(rows))
        outcome = Outcome()
        for row in rows:
            try:
                outcome.kept += self._call([row])
            except TransformError as refusal:
                outcome.refused.append((row, refusal.what[-REASON_CHARACTERS:]))
        return outcome

    def _call(self, rows: Sequence[RawRow]) -> list[tuple[RawRow, bytes]]:
        batch: Batch = [_decode(row.document.decode()) for row in rows]
        by_key = {self._key_of(row): raw for row, raw in zip(batch, rows, strict=True)}
        try:
            returned: object = self._function(batch)
        except Exception as err:
            raise TransformError(traced(err, skip=1)) from err
        if not isinstance(returned, list):
            message = f"the function returned {type(returned).__name__}, not a list of rows."
            raise TransformError(message)
        kept = [self._checked(row, by_key) for row in returned]
        if self.keeps_all_rows and by_key:
            message = f"the function is marked keeps_all_rows and dropped {len(by_key)} of {len(rows)} row(s)."
            raise TransformError(message)
        return kept

    def _checked(self, row: object, by_key: dict[bytes, RawRow]) -> tuple[RawRow, bytes]:
        """Returns a row beside the one it was made of, which is taken out of `by_key`."""
        if not isinstance(row, dict):
            message = f"the function returned a {type(row).__name__} among its rows, not a dict."
            raise TransformError(message)
        raw = by_key.pop(self._key_of(row), None)
        if raw is None:
            shown = ", ".join(f"{name} {row.get(name)!r}" for name in self._key)
            message = f"the function returned a row of the key {shown}, which is not in its batch or came twice; it may change everything but the key."
            raise TransformError(message)
        unknown = [name for name in row if self._fields is not None and name not in self._fields]
        if unknown:
            has = ", ".join(self._fields or ())
            message = f"the function returned the field(s) {', '.join(map(str, unknown))}, for which the table has no column (it has: {has})."
            raise TransformError(message)
        try:
            return raw, encode(row)
        except (TypeError, ValueError) as err:  # orjson's error is both
            message = f"what the function returned is not JSON: {err.__cause__ or err}."
            raise TransformError(message) from err

    def _key_of(self, row: Row) -> bytes:
        missing = [name for name in self._key if name not in row]
        if missing:
            message = f"the function returned a row without {', '.join(missing)}, which is part of the key."
            raise TransformError(message)
        try:
            return encode([row[name] for name in self._key])
        except (TypeError, ValueError):
            return b""  # no key that was read looks like this
