"""Follows what a spec names: files under include/sql, include/indices and include/transforms."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

from querymirror.errors import SpecTextError
from querymirror.spec.problems import Problems, listed, quoted, shown, suggestion
from querymirror.spec.sql_tokens import Statement
from querymirror.spec.yaml_lines import Path as FieldPath

MAX_FILE_BYTES = 5_000_000
_SQL_STARTS = re.compile(r"\s*(?:select|with|values|table|create|insert|update|delete|merge)\b|\s*[(/-]", re.IGNORECASE)
_FUNCTION = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*\Z", re.ASCII)


class Sql:
    """A statement that a spec holds or names, and the place to point at when something is wrong with it.

    Args:
        statement: its text and tokens.
        file: path below `include/`, None where it was written in the spec.
        place: (file as shown, line of its first line); None = say the field's own line.
    """

    def __init__(self, statement: Statement, file: str | None, place: tuple[str, int] | None) -> None:
        self.statement, self.file, self.place = statement, file, place

    def as_field(self) -> dict[str, Any]:
        """Returns what the model's `SqlText` takes."""
        return {"text": self.statement.text, "file": self.file}


class References:
    """Reads the files that the spec at hand names, once each; problems go to the spec's.

    Args:
        include: the include folder.
        problems: where to tell what is wrong.
    """

    def __init__(self, include: Path, problems: Problems) -> None:
        self._include, self._problems = include, problems

    def sql(self, path: FieldPath, value: object) -> Sql | None:
        """Returns the statement of a field that holds SQL or the name of a file under include/sql; None after a problem."""
        if not isinstance(value, str) or not value.strip():
            self._problems.add(path, f"{quoted(value)} is not SQL.", "Give the name of a file under include/sql, or a query.")
            return None
        if names_file(value):
            file = self._file(path, value.strip(), "sql", ".sql")
            text = self._text(path, file) if file else None
            if file is None or text is None:
                return None
            name = (PurePosixPath("sql") / value.strip()).as_posix()
            return self._statement(path, text, name, (shown(file, self._include), 1))
        block = self._problems.document.blocks.get(path)
        return self._statement(path, value, None, (self._problems.file, block) if block else None)

    def tell(self, path: FieldPath, sql: Sql, problem: SpecTextError) -> None:
        """Tells what is wrong with a statement, at its own file and line."""
        self._tell(path, sql.place, sql.statement.text, problem)

    def tell_field(self, path: FieldPath, what: str, fix: str) -> None:
        """Tells what is wrong with a field as a whole."""
        self._problems.add(path, what, fix)

    def _tell(self, path: FieldPath, place: tuple[str, int] | None, text: str, problem: SpecTextError) -> None:
        self._problems.silence(path)
        if place is None:
            self._problems.add(path, problem.what, problem.fix)
        else:
            line = place[1] + text.count("\n", 0, problem.at)
            self._problems.add_at(place[0], line, path, problem.what, problem.fix)

    def _statement(self, path: FieldPath, text: str, name: str | None, place: tuple[str, int] | None) -> Sql | None:
        try:
            return Sql(Statement(text), name, place)
        except SpecTextError as problem:
            self._tell(path, place, text, problem)
            return None

    def index_config(self, path: FieldPath, value: object) -> dict[str, Any] | None:
        """Returns settings and mappings of a field that holds them or the name of a file under include/indices."""
        if isinstance(value, dict):
            return self._checked_config(path, value, self._problems.file, self._problems.document.line(path))
        if not isinstance(value, str) or not value.strip():
            self._problems.add(path, f"{quoted(value)} is not an index configuration.", "Give the name of a JSON file under include/indices.")
            return None
        file = self._file(path, value.strip(), "indices", ".json")
        text = self._text(path, file) if file else None
        if file is None or text is None:
            return None
        name = shown(file, self._include)
        try:
            data = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
        except json.JSONDecodeError as err:
            self._tell_json(path, name, err.lineno, f"this is not JSON: {err.msg}.")
        except (ValueError, RecursionError) as err:
            self._tell_json(path, name, 1, f"this is not JSON that Elasticsearch takes: {str(err) or 'nested too deep'}.")
        else:
            return self._checked_config(path, data, name, 1)
        return None

    def _tell_json(self, path: FieldPath, name: str, line: int, what: str) -> None:
        self._problems.silence(path)
        self._problems.add_at(name, line, path, what, "Correct the file; comments and trailing commas are not JSON.")

    def _checked_config(self, path: FieldPath, data: object, file: str, line: int) -> dict[str, Any] | None:
        if not isinstance(data, dict):
            what = "an index configuration is an object, not a list or a single value."
            self._problems.silence(path)
            self._problems.add_at(file, line, path, what, 'Write {"settings": {...}, "mappings": {...}}.')
            return None
        wrong = [str(k) for k, v in data.items() if k not in {"settings", "mappings"} or not isinstance(v, dict)]
        if wrong:
            what = f"an index configuration holds the objects settings and mappings, not {listed(quoted(w) for w in wrong)}."
            self._problems.silence(path)
            self._problems.add_at(file, line, path, what, "Keep these two; querymirror makes the alias itself.")
            return None
        return data

    def transform(self, path: FieldPath, value: object) -> dict[str, Any] | None:
        """Returns the file of `[transforms.]module:function` under include/transforms, None after a problem; nothing of it runs."""
        if not isinstance(value, str) or not _FUNCTION.match(value):
            self._problems.add(path, f"{quoted(value)} does not name a function.", "Write module:function, a file and a function under include/transforms.")
            return None
        module, function = value.removeprefix("transforms.").split(":")
        relative = module.replace(".", "/") + ".py"
        file = self._file(path, relative, "transforms", ".py")
        text = self._text(path, file) if file else None
        if file is None or text is None:
            return None
        name = shown(file, self._include)
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as err:
            line = getattr(err, "lineno", None) or 1
            self._problems.silence(path)
            self._problems.add_at(name, line, path, f"this is not Python: {getattr(err, 'msg', err)}.", "Correct the file.")
            return None
        functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        if function not in functions:
            fix = suggestion(function, functions, f"Define it, or name one of: {listed(functions) or 'none there'}.")
            self._problems.add(path, f"{name} defines no function {function!r}.", fix)
            return None
        return {"text": text, "file": (PurePosixPath("transforms") / relative).as_posix(), "function": function}

    def _file(self, path: FieldPath, name: str, folder: str, ending: str) -> Path | None:
        """Returns the file of a name below include/<folder>, never one outside of it."""
        base = self._include / folder
        where = shown(base, self._include)
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts or "\\" in name or not name.isprintable():
            self._problems.add(path, f"{quoted(name)} leads out of {where}.", f"Name a file below {where}, without '..' and a leading '/'.")
            return None
        try:
            file = base / parts
            if not file.is_file():
                names = sorted(f.relative_to(base).as_posix() for f in base.rglob(f"*{ending}")) if base.is_dir() else []
                fix = suggestion(name, names, f"Make the file, or name one of: {listed(names) or 'none there yet'}.")
                self._problems.add(path, f"{where}/{name} does not exist.", fix)
                return None
            if not file.resolve().is_relative_to(base.resolve()):
                self._problems.add(path, f"{where}/{name} is a link that leads out of {where}.", f"Put the file itself below {where}.")
                return None
        except (OSError, RuntimeError) as err:
            self._problems.add(path, f"{where}/{name[:80]} can't be read: {_reason(err)}.", "Check the file's name and permissions.")
            return None
        return file

    def _text(self, path: FieldPath, file: Path) -> str | None:
        name = shown(file, self._include)
        try:
            data = file.read_bytes()
        except OSError as err:
            self._problems.add(path, f"{name} can't be read: {_reason(err)}.", "Check the file's permissions.")
            return None
        if len(data) > MAX_FILE_BYTES:
            self._problems.add(path, f"{name} has {len(data):,} bytes, more than {MAX_FILE_BYTES:,}.", "Name a smaller file.")
            return None
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as err:
            self._problems.silence(path)
            line = data.count(b"\n", 0, err.start) + 1
            self._problems.add_at(name, line, path, f"the file is not UTF-8: byte 0x{data[err.start]:02x}.", "Save the file as UTF-8.")
            return None


def names_file(value: str) -> bool:
    """Whether a SQL field names a file: one line that ends in .sql and doesn't read like SQL."""
    text = value.strip()
    return "\n" not in text and text.lower().endswith(".sql") and (" " not in text or not _SQL_STARTS.match(text))


def _reason(err: Exception) -> str:
    return (err.strerror if isinstance(err, OSError) else None) or "the name can't be followed"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            message = f"the key {key!r} stands twice in one object"
            raise ValueError(message)
        found[key] = value
    return found


def _no_constant(name: str) -> None:
    message = f"{name} is not a JSON number"
    raise ValueError(message)
