"""Reads CREATE TABLE and INSERT of the second form token by token, refusing all that its rules don't name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NoReturn

from querymirror.errors import SpecTextError
from querymirror.spec.names import canonical_table
from querymirror.spec.sql_tokens import Statement, Token

CREATE_BEGINS = ("create", "table", "if", "not", "exists")
_CONSTRAINTS = frozenset(["constraint", "primary", "unique", "check", "foreign", "exclude", "like"])
_AFTER_TYPE = frozenset(["collate", "compression", "constraint", "storage", "not", "null", "check", "default", "generated", "unique", "primary", "references"])
_INSERT_FIX = "Write INSERT INTO table (columns) VALUES (%s, ...) ON CONFLICT (columns) DO UPDATE SET c = EXCLUDED.c, ..."


@dataclass(frozen=True)
class CreateTable:
    """What CREATE_TABLE_SQL makes.

    Attributes:
        table: `schema.table` in its one spelling.
        columns: in order.
        unique: the columns of PRIMARY KEY and of each UNIQUE.
        types: of the columns, as they are written; without those that PostgreSQL generates.
    """

    table: str
    columns: tuple[str, ...]
    unique: tuple[frozenset[str], ...]
    types: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Insert:
    """What UPSERT_TARGET_SQL writes.

    Attributes:
        table: `schema.table` in its one spelling.
        columns: in order, one `%s` each.
        conflict: columns of ON CONFLICT.
        updates: columns that DO UPDATE sets.
    """

    table: str
    columns: tuple[str, ...]
    conflict: tuple[str, ...]
    updates: tuple[str, ...]


class _Reader:
    """Walks over the tokens of a statement."""

    def __init__(self, statement: Statement, fix: str) -> None:
        self.tokens, self.at, self.fix = statement.tokens, 0, fix
        self.end = Token("mark", "the end", len(statement.text), 0)

    @property
    def token(self) -> Token:
        return self.tokens[self.at] if self.at < len(self.tokens) else self.end

    def fail(self, wanted: str) -> NoReturn:
        raise SpecTextError(self.token.start, f"{self.token.text!r} stands where {wanted} belongs.", self.fix)

    def take(self) -> Token:
        token = self.token
        self.at += 1
        return token

    def has(self, *words: str) -> bool:
        """Whether these words or marks come next; takes them if so."""
        following = self.tokens[self.at : self.at + len(words)]
        if [t.word or t.text for t in following] != list(words):
            return False
        self.at += len(words)
        return True

    def need(self, *words: str) -> None:
        if not self.has(*words):
            self.fail(" ".join(words).upper())

    def name(self, wanted: str) -> str:
        name = self.token.name
        if name is None:
            self.fail(wanted)
        self.at += 1
        return name

    def table(self) -> str:
        first = self.token
        self.name("the table's name")
        if self.has("."):
            self.name("the table's name")
        try:
            return canonical_table("".join(t.text for t in self.tokens[self.tokens.index(first) : self.at]))
        except SpecTextError as err:
            raise SpecTextError(first.start, f"{first.text!r} is not a table: {err.what}.", self.fix) from err

    def group(self) -> list[list[Token]]:
        """Takes `( a, b )` and returns the tokens of each part."""
        depth = self.token.depth
        self.need("(")
        parts: list[list[Token]] = [[]]
        while not (self.token.text == ")" and self.token.depth == depth):
            token = self.take()
            if token.text == "," and token.depth == depth + 1:
                parts.append([])
            else:
                parts[-1].append(token)
        self.at += 1
        return parts

    def names(self, wanted: str) -> tuple[str, ...]:
        """Takes `(a, b)`, nothing but names."""
        opening = self.token
        parts = self.group()
        if any(len(p) != 1 or p[0].name is None for p in parts):
            raise SpecTextError(opening.start, f"{wanted} are not plain names.", self.fix)
        return tuple(str(p[0].name) for p in parts)


def read_create_table(statement: Statement) -> CreateTable:
    """Reads CREATE TABLE IF NOT EXISTS.

    Raises:
        SpecTextError: it is anything else, or its columns can't be told.
    """
    reader = _Reader(statement, "Write CREATE TABLE IF NOT EXISTS table (column type, ..., PRIMARY KEY (columns)).")
    if not reader.has(*CREATE_BEGINS):
        raise SpecTextError(0, "the statement doesn't begin with CREATE TABLE IF NOT EXISTS.", "Begin it so; it runs whenever the table might be missing.")
    table = reader.table()
    if reader.token.text != "(":
        reader.fail("the list of columns")
    columns: list[str] = []
    unique: list[frozenset[str]] = []
    types: dict[str, str] = {}
    for part in reader.group():
        if not part:
            raise SpecTextError(reader.token.start, "a column is empty: two commas, or one at the end.", "Remove the comma.")
        if part[0].word in _CONSTRAINTS:
            unique += _table_constraint(part)
            continue
        if part[0].name is None:
            raise SpecTextError(part[0].start, f"{part[0].text!r} is not the name of a column.", reader.fix)
        columns.append(part[0].name)
        unique += [frozenset([part[0].name])] if _is_unique(part) else []
        if (written := _type(statement, part)) is not None:
            types[part[0].name] = written
    twice = sorted({c for c in columns if columns.count(c) > 1})
    if twice:
        raise SpecTextError(0, f"the column(s) {', '.join(twice)} stand twice.", "Name each column once.")
    return CreateTable(table, tuple(columns), tuple(unique), types)


def _type(statement: Statement, part: Sequence[Token]) -> str | None:
    """Returns a column's type as it is written, None where the column is generated or has no type."""
    words = [t.word for t in part]
    ends = [i for i, t in enumerate(part) if i and t.depth == part[0].depth and t.word in _AFTER_TYPE]
    end = ends[0] if ends else len(part)
    return statement.slice(part[1], part[end - 1]) if end > 1 and "generated" not in words[end:] else None


def _is_unique(part: Sequence[Token]) -> bool:
    """Whether a column's own constraints make it unique."""
    words = [t.word for t in part[1:] if t.depth == part[0].depth]
    return "unique" in words or ("primary", "key") in pairwise(words)


def _table_constraint(part: Sequence[Token]) -> list[frozenset[str]]:
    """Returns the columns of PRIMARY KEY (...) or UNIQUE (...)."""
    if part[0].word == "like":
        raise SpecTextError(part[0].start, "LIKE hides the table's columns.", "Write the columns out.")
    start = 2 if part[0].word == "constraint" else 0
    if len(part) <= start or part[start].word not in {"primary", "unique"}:
        return []
    depth = part[0].depth
    inside = [t for t in part[start:] if t.depth == depth + 1 and t.name is not None]
    opening = [i for i, t in enumerate(part) if t.text == "(" and t.depth == depth]
    closing = next((t for t in part if t.text == ")" and t.depth == depth), None)
    if not opening or closing is None:
        return []
    return [frozenset(str(t.name) for t in inside if t.start < closing.start)]


def read_insert(statement: Statement) -> Insert:
    """Reads INSERT ... VALUES (%s, ...) ON CONFLICT (...) DO UPDATE SET c = EXCLUDED.c.

    Raises:
        SpecTextError: it is anything else.
    """
    reader = _Reader(statement, _INSERT_FIX)
    reader.need("insert", "into")
    table = reader.table()
    if reader.has("as"):
        reader.name("an alias")
    if reader.token.text != "(":
        reader.fail("the list of columns")
    columns = _unescaped(reader.names("the columns"))
    _read_values(reader, len(columns))
    reader.need("on", "conflict")
    if reader.token.text != "(":
        reader.fail("the list of conflict columns")
    conflict = _unescaped(reader.names("the conflict columns"))
    reader.need("do", "update", "set")
    updates = _unescaped(_read_assignments(reader))
    for names, role in ((columns, "column list"), (conflict, "ON CONFLICT list"), (updates, "SET list")):
        twice = sorted({n for n in names if names.count(n) > 1})
        unknown = [n for n in names if n not in columns]
        if twice:
            raise SpecTextError(0, f"{', '.join(twice)} stands twice in the {role}.", "Name it once.")
        if unknown:
            raise SpecTextError(0, f"{', '.join(unknown)} of the {role} is not among the columns of the INSERT.", "Add it to the columns, or take it out.")
    return Insert(table, columns, conflict, updates)


def _unescaped(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the names as the server gets them: in a statement with parameters `%` is written `%%`."""
    return tuple(n.replace("%%", "%") for n in names)


def _read_values(reader: _Reader, columns: int) -> None:
    reader.need("values")
    opening = reader.token
    parts = reader.group()
    places = [p for p in parts if p and p[0].text == "%s" and (len(p) == 1 or p[1].text == "::")]
    if len(places) != len(parts):
        wrong = next((p for p in parts if p not in places), [])
        text = " ".join(t.text for t in wrong) or "nothing"
        fix = "Write one %s per column, with a cast (%s::type) at most; put expressions into SELECT_SOURCE_SQL."
        raise SpecTextError(wrong[0].start if wrong else opening.start, f"{text!r} stands in VALUES instead of %s.", fix)
    if len(parts) != columns:
        raise SpecTextError(opening.start, f"{columns} columns are listed and VALUES holds {len(parts)} %s.", "Write as many %s as columns.")


def _read_assignments(reader: _Reader) -> list[str]:
    updates: list[str] = []
    while True:
        start = reader.token
        name = reader.name("a column to set")
        other = reader.name("EXCLUDED") if reader.has("=") else ""
        if other != "excluded" or not reader.has(".") or reader.token.name != name:
            fix = "Set each column to its EXCLUDED value; put expressions into SELECT_SOURCE_SQL."
            raise SpecTextError(start.start, f"{start.text} is not set as `{start.text} = EXCLUDED.{start.text}`.", fix)
        reader.take()
        updates.append(name)
        if not reader.has(","):
            break
    if reader.at < len(reader.tokens):
        fix = "End the statement after SET c = EXCLUDED.c; conditions and RETURNING are not kept."
        raise SpecTextError(reader.token.start, f"{reader.token.text!r} follows the SET list.", fix)
    return updates
