"""What checks against servers found: errors and warnings that point into the spec or the SQL it names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psycopg

from querymirror.errors import PipelineError, Problem
from querymirror.spec.base import SqlText
from querymirror.spec.defaults import read_document
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.problems import Problems, dotted, shown
from querymirror.spec.upper_form import is_upper_form
from querymirror.spec.yaml_lines import Path as FieldPath

Severity = Literal["error", "warning"]
# Where a field of the first form stands in a spec of the second one.
_SECOND_FORM: dict[FieldPath, FieldPath] = {
    ("source",): ("SELECT_SOURCE_SQL",),
    ("source", "query"): ("SELECT_SOURCE_SQL",),
    ("source", "cursor_column"): ("SELECT_SOURCE_SQL",),
    ("source", "primary_key"): ("UPSERT_TARGET_SQL",),
    ("target",): ("TARGET_TABLE",),
    ("target", "table"): ("TARGET_TABLE",),
    ("target", "create_sql"): ("CREATE_TABLE_SQL",),
    ("keys_sql",): ("SELECT_KEYS_SQL",),
}


@dataclass(frozen=True)
class Finding:
    """One thing that a check found; an error makes runs fail, a warning makes them slow or less sure."""

    severity: Severity
    problem: Problem


class Findings:
    """Collects what is found about one spec.

    Args:
        spec: as it was loaded.
        file: its file.
        include: the include folder.
    """

    def __init__(self, spec: PipelineSpec, file: Path, include: Path) -> None:
        self.spec, self._include = spec, include
        self._document = read_document(file, include)
        self._file = shown(file, include)
        self._upper = isinstance(self._document.value, dict) and is_upper_form(self._document.value)
        self.found: list[Finding] = []

    @property
    def failed(self) -> bool:
        """Whether an error was found."""
        return any(f.severity == "error" for f in self.found)

    def error(self, path: FieldPath, what: str, fix: str) -> None:
        """Adds what makes runs fail."""
        self._add("error", path, what, fix)

    def warning(self, path: FieldPath, what: str, fix: str) -> None:
        """Adds what makes runs slow or less sure."""
        self._add("warning", path, what, fix)

    def _add(self, severity: Severity, path: FieldPath, what: str, fix: str) -> None:
        field = _SECOND_FORM.get(path, path) if self._upper else path
        problems = Problems(self._file, self._document)
        problems.add(field, what, fix)
        self.found.append(Finding(severity, problems.found[0]))

    def statement(self, path: FieldPath, sql: SqlText, err: psycopg.Error, sent: str) -> None:
        """Adds what the server says of a statement, at the statement's own file and line where the server names a place.

        Args:
            path: the field that holds the statement.
            sql: the statement.
            err: the server's error.
            sent: what was sent, in which the server counts.
        """
        what, fix = f"{err.diag.message_primary or err} (SQLSTATE {err.sqlstate}).", _fix_of(err)
        begins, position = sent.find(sql.text), int(err.diag.statement_position or 0)
        within = max(position - 1 - begins, 0) if position and begins >= 0 else None
        if within is None or (sql.file is None and self._block(path) is None):
            self.error(path, what, fix)
            return
        file, first = (f"{self._include.resolve().name}/{sql.file}", 1) if sql.file else (self._file, self._block(path) or 1)
        line = first + sql.text.count("\n", 0, within)
        self.found.append(Finding("error", Problem(file=file, line=line, where=dotted(path), what=what, fix=fix)))

    def _block(self, path: FieldPath) -> int | None:
        return self._document.blocks.get(_SECOND_FORM.get(path, path) if self._upper else path)

    def checked(self, path: FieldPath, check: Callable[[], None]) -> None:
        """Runs a check; what it raises is an error of a field."""
        try:
            check()
        except PipelineError as err:
            self.error(path, err.what, err.fix)


def _fix_of(err: psycopg.Error) -> str:
    hint = err.diag.message_hint
    if err.sqlstate == "42501":
        return "Let an owner grant it: GRANT USAGE ON SCHEMA ... and GRANT SELECT ON ... to the role of the connection."
    return hint or "Correct the SQL, or look at the database that the connection names."


def names(values: Iterable[str]) -> str:
    """Returns names in one line."""
    return ", ".join(values)
