"""Reads YAML with the line of every field, by YAML 1.2's rules for plain words (`off`, `no` and dates stay text).

The parser's events are read one by one instead of composed into nodes: nothing recurses, so neither depth nor
self-reference of a hostile file can exhaust the stack, and each alias is paid for when it is expanded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from querymirror.errors import SpecTextError

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML built without libyaml
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

Path = tuple[str | int, ...]

MAX_BYTES = 1_000_000
MAX_VALUES = 20_000
MAX_DEPTH = 40

_NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_INT = re.compile(r"[-+]?[0-9]{1,100}\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]{1,100}|[0-9]{1,100}(?:\.[0-9]{0,100})?)(?:[eE][-+]?[0-9]{1,4})?\Z")


@dataclass(frozen=True)
class Repeated:
    """A key that stands twice in one mapping."""

    path: Path
    line: int
    first_line: int


@dataclass
class Document:
    """What a YAML text says, and where it says it.

    Attributes:
        value: dicts, lists, strings, numbers, booleans and None.
        lines: 1-based line of each field's key, or of a list's item, by path.
        blocks: 1-based line of the first line of each literal block (`|`), by path.
        repeated: keys that stand twice; the first one counts.
    """

    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    blocks: dict[Path, int] = field(default_factory=dict)
    repeated: list[Repeated] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """Returns the line of a field, of the nearest field above it that stands in the text, or 1."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return 1


def read_yaml(data: bytes) -> Document:
    """Reads one YAML document.

    Raises:
        SpecTextError: not UTF-8, not YAML, empty, several documents, or too large or deep for a spec.
    """
    if len(data) > MAX_BYTES:
        raise SpecTextError(0, f"the file has {len(data):,} bytes, more than the {MAX_BYTES:,} a spec may have.", "Move SQL to files under include/sql.")
    text = _decode(data)
    try:
        document = _Builder().build(text)
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        said = " ".join(part for part in (err.context, err.problem) if part)
        raise SpecTextError(
            mark.line + 1 if mark else 0, f"this is not YAML: {said}.", "Check indentation, quotes and colons on this line and above it."
        ) from err
    except yaml.YAMLError as err:
        raise SpecTextError(0, f"this is not YAML: {' '.join(str(err).split())}.", "Remove the characters that YAML doesn't allow.") from err
    if document.value is None:
        raise SpecTextError(0, "the file is empty.", "Write a spec into it, see docs/spec.md, or remove the file.")
    return document


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = data.count(b"\n", 0, err.start) + 1
        raise SpecTextError(line, f"the file is not UTF-8: byte 0x{data[err.start]:02x}.", "Save the file as UTF-8.") from err


class _Frame:
    """One open mapping or list; `key` is the key that waits for its value."""

    __slots__ = ("anchor", "first_lines", "key", "key_line", "path", "skip", "value")

    def __init__(self, value: dict[str, Any] | list[Any], path: Path, anchor: str | None) -> None:
        self.value, self.path, self.anchor = value, path, anchor
        self.key: str | None = None
        self.key_line = 0
        self.skip = False
        self.first_lines: dict[str, int] = {}


class _Builder:
    def __init__(self) -> None:
        self.document = Document()
        self.stack: list[_Frame] = []
        self.anchors: dict[str, Any] = {}
        self.sizes: dict[str, int] = {}
        self.count = 0
        self.documents = 0

    def build(self, text: str) -> Document:
        loader = _Loader(text)
        try:
            while (event := loader.get_event()) is not None:
                self._event(event)
        finally:
            loader.dispose()
        return self.document

    def _event(self, event: yaml.Event) -> None:
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.MappingStartEvent):
            self._open({}, event, line)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._open([], event, line)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event, line)
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise SpecTextError(line, "a second document begins here.", "Write one pipeline per file and remove the `---`.")

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        frame = self.stack[-1] if self.stack else None
        if frame is not None and isinstance(frame.value, dict) and frame.key is None:
            self._key(frame, event.value, line)
            return
        value = _resolve(event, line)
        if event.anchor:
            self.anchors[event.anchor], self.sizes[event.anchor] = value, 1
        path = self._place(value, line)
        if event.style == "|":
            self.document.blocks.setdefault(path, line + 1)

    def _key(self, frame: _Frame, key: str, line: int) -> None:
        if key == "<<":
            raise SpecTextError(line, "`<<` (merge) is not read here.", "Write the fields out, or put shared values into include/settings.yaml under defaults.")
        frame.key, frame.key_line = key, line
        frame.skip = key in frame.first_lines
        if frame.skip:
            self.document.repeated.append(Repeated((*frame.path, key), line, frame.first_lines[key]))
        else:
            frame.first_lines[key] = line

    def _place(self, value: object, line: int) -> Path:
        """Puts a value where it belongs and returns its path."""
        self._pay(1, line)
        if not self.stack:
            self.document.value = value
            return ()
        frame = self.stack[-1]
        if isinstance(frame.value, list):
            path: Path = (*frame.path, len(frame.value))
            frame.value.append(value)
            self.document.lines.setdefault(path, line)
            return path
        key = str(frame.key)
        path = (*frame.path, key)
        if not frame.skip:
            frame.value[key] = value
            self.document.lines[path] = frame.key_line
        frame.key, frame.skip = None, False
        return path

    def _open(self, value: dict[str, Any] | list[Any], event: yaml.CollectionStartEvent, line: int) -> None:
        frame = self.stack[-1] if self.stack else None
        if frame is not None and isinstance(frame.value, dict) and frame.key is None:
            fix = "Put names with spaces or braces in quotes, and a space after each colon."
            raise SpecTextError(line, "a mapping or a list stands where a field's name belongs.", fix)
        if len(self.stack) >= MAX_DEPTH:
            raise SpecTextError(line, f"values are nested more than {MAX_DEPTH} deep.", "A spec needs a few levels only.")
        _check_tag(event, line)
        self.stack.append(_Frame(value, self._place(value, line), event.anchor))
        if event.anchor:
            self.sizes[event.anchor] = -self.count

    def _close(self) -> None:
        frame = self.stack.pop()
        if frame.anchor:
            self.anchors[frame.anchor] = frame.value
            self.sizes[frame.anchor] += self.count + 1

    def _alias(self, event: yaml.AliasEvent, line: int) -> None:
        name = event.anchor
        if name not in self.anchors:
            raise SpecTextError(line, f"`*{name}` names no value written before it.", f"Mark the value with &{name} above, or write it out here.")
        frame = self.stack[-1] if self.stack else None
        if frame is not None and isinstance(frame.value, dict) and frame.key is None:
            raise SpecTextError(line, f"`*{name}` stands where a field's name belongs.", "Write the name out.")
        self._pay(self.sizes[name], line)
        self._place(self.anchors[name], line)

    def _pay(self, values: int, line: int) -> None:
        self.count += values
        if self.count > MAX_VALUES:
            raise SpecTextError(
                line, f"the file holds more than {MAX_VALUES:,} values once its aliases are expanded.", "Write the spec without nested aliases."
            )


def _check_tag(event: yaml.CollectionStartEvent, line: int) -> None:
    if event.tag and not event.implicit and event.tag not in {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq", "!"}:
        raise SpecTextError(line, f"the tag {event.tag!r} is not read here.", "Remove the tag.")


def _resolve(event: yaml.ScalarEvent, line: int) -> object:
    """Returns a scalar's value by YAML 1.2's core schema; .inf and .nan stay text, no field takes them."""
    text = str(event.value)
    if event.tag and event.tag not in {"!", "tag:yaml.org,2002:str"}:
        raise SpecTextError(line, f"the tag {event.tag!r} is not read here.", "Remove the tag.")
    if event.tag or not event.implicit[0]:
        return text
    if _NULL.match(text):
        return None
    if _BOOL.match(text):
        return text.lower() == "true"
    if _INT.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) else text
