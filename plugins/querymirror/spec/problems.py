"""Collects what is wrong with a file, so that all of it is told at once."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from querymirror.errors import Problem, SpecError
from querymirror.spec.yaml_lines import Document
from querymirror.spec.yaml_lines import Path as FieldPath

# Where a field of the first form stands in a spec of the second one.
_SECOND_FORM: dict[FieldPath, FieldPath] = {
    ("target", "table"): ("TARGET_TABLE",),
    ("source", "query"): ("SELECT_SOURCE_SQL",),
    ("source", "conn_id"): ("source_conn_id",),
    ("target", "conn_id"): ("target_conn_id",),
}


def dotted(path: FieldPath) -> str:
    """Returns `source.changes[0].name` for ("source", "changes", 0, "name")."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def shown(path: Path, include: Path) -> str:
    """Returns a file's name as people know it: from the include folder's own name on, else as it was given."""
    for base in (include, include.resolve()):
        if path.is_relative_to(base):
            return (Path(base.name or include.resolve().name) / path.relative_to(base)).as_posix()
    return str(path)


def listed(names: Iterable[str]) -> str:
    """Returns the names in one line, the first 30 of them."""
    every = [str(n) for n in names]
    return ", ".join(every[:30]) + (f", and {len(every) - 30} more" if len(every) > 30 else "")  # noqa: PLR2004 - what fits a screen


def near(name: str, names: Iterable[str]) -> list[str]:
    """Returns up to three names that look like `name`, nearest first, whatever their case."""
    by_lower = {n.lower(): n for n in names}
    return [by_lower[n] for n in difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)]


def suggestion(name: str, names: Iterable[str], otherwise: str) -> str:
    """Returns `Did you mean x or y? <otherwise>`, or `otherwise` where nothing looks like it."""
    found = near(name, list(names))
    return f"Did you mean {' or '.join(found)}? {otherwise}" if found else otherwise


def quoted(value: object) -> str:
    """Returns a value as it stands in a message, cut at 80 characters."""
    text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - what fits a line


class Problems:
    """The problems of one spec file.

    Args:
        file: its name as people know it.
        document: what it says and where; None while it could not be read.
    """

    def __init__(self, file: str, document: Document | None = None) -> None:
        self.file = file
        self.document = document or Document()
        self._found: list[Problem] = []
        self._silenced: set[FieldPath] = set()

    def add(self, path: FieldPath, what: str, fix: str) -> None:
        """Adds a problem of a field; further ones of the same field from the model are left out."""
        self._silenced.add(path)
        lines = self.document.lines
        if path not in lines and _SECOND_FORM.get(path) in lines:
            path = _SECOND_FORM[path]
        self.add_at(self.file, self.document.line(path), path, what, fix)

    def add_at(self, file: str, line: int, path: FieldPath, what: str, fix: str) -> None:
        """Adds a problem at a place of its own, in a file that a field names for example."""
        problem = Problem(file=file, line=line, where=dotted(path), what=what, fix=fix)
        if problem not in self._found:
            self._found.append(problem)

    def told(self, path: FieldPath) -> bool:
        """Whether a problem of this very field is known."""
        return path in self._silenced

    def silence(self, path: FieldPath) -> None:
        """Marks a field whose problem is told elsewhere."""
        self._silenced.add(path)

    @property
    def found(self) -> tuple[Problem, ...]:
        """All problems, in the order of files and lines."""
        return tuple(sorted(self._found, key=lambda p: (p.file != self.file, p.file, p.line)))

    def raise_if_any(self) -> None:
        """Raises what was found.

        Raises:
            SpecError: with every problem.
        """
        if self._found:
            raise SpecError(self.found)


def fail(file: str, line: int, what: str, fix: str) -> NoReturn:
    """Raises the one problem that hides all others.

    Raises:
        SpecError: always.
    """
    raise SpecError([Problem(file=file, line=line, where="", what=what, fix=fix)])
