"""How commands speak: exit codes, errors with the line they point at, tables on a terminal, JSON elsewhere."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from querymirror.errors import PipelineError, Problem, SpecError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

OK, FAILED, USAGE, DIFFERENT = 0, 1, 2, 3
"""Exit codes: done; it failed, or a spec is wrong; wrong arguments; source and target differ, or a run would write."""

PLAIN_WIDTH = 200  # columns of a table that goes into a file or a pipe


def print_json(value: object) -> None:
    """Writes one JSON value to the standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def line(text: str = "", *, colour: str | None = None, bold: bool = False) -> None:
    """Writes a line to the standard output; colours only show on a terminal."""
    typer.secho(text, fg=colour, bold=bold)


def fail(err: PipelineError, include: Path, *, as_json: bool) -> NoReturn:
    """Tells an error and ends the command.

    Raises:
        typer.Exit: with `FAILED`, always.
    """
    if as_json:
        problems = {"problems": [problem_json(p, include) for p in err.problems]} if isinstance(err, SpecError) else {}
        print_json({"error": type(err).__name__, "message": str(err), **problems})
    elif isinstance(err, SpecError):
        for problem in err.problems:
            typer.secho(f"{problem}", fg="red", err=True)
            for shown in excerpt(problem, include):
                typer.secho(shown, err=True)
    else:
        typer.secho(f"{type(err).__name__}: {err}", fg="red", err=True)
    raise typer.Exit(FAILED)


def wrong_usage(message: str) -> NoReturn:
    """Refuses arguments that don't go together.

    Raises:
        typer.Exit: with `USAGE`, always.
    """
    typer.secho(message, fg="red", err=True)
    raise typer.Exit(USAGE)


def problem_json(problem: Problem, include: Path) -> dict[str, Any]:
    """Returns a problem with the column it begins in and the text of its line."""
    text = source_line(problem, include)
    return {**asdict(problem), "column": column_of(problem, text), "text": text}


def excerpt(problem: Problem, include: Path) -> list[str]:
    """Returns the line that a problem points at and a mark under it; nothing where there is no such line."""
    text = source_line(problem, include)
    if text is None:
        return []
    head = f"{problem.line:>5} | "
    column = column_of(problem, text)
    return [head + text] + ([" " * (len(head) - 2) + "| " + " " * (column - 1) + "^"] if column else [])


def source_line(problem: Problem, include: Path) -> str | None:
    """Returns the text of a problem's line, None where it has none."""
    if not problem.line:
        return None
    for file in (include.resolve().parent / problem.file, Path(problem.file)):
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, ValueError):  # a file that can't be read is the problem itself, told in words
            continue
        return lines[problem.line - 1].rstrip() if problem.line <= len(lines) else None
    return None


def column_of(problem: Problem, text: str | None) -> int:
    """Returns the 1-based column of the field a problem names, 0 where that is not known."""
    names = re.findall(r"[^.\[\]]+", problem.where)
    if text is None or not names:
        return 0
    found = re.search(rf"(?<![\w.-]){re.escape(names[-1])}(?=\s*:)", text)
    if found is None and names[-1].isdigit():
        found = re.search(r"(?:^\s*- )?\S", text)  # an item of a list: what stands behind its dash
        return found.end() if found else 0
    return found.start() + 1 if found else 0


def console() -> Console:
    """Returns rich's console, as wide as the terminal; wide enough for most tables elsewhere."""
    from rich.console import Console  # noqa: PLC0415 - a tenth of a second that only tables pay

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(width=width, highlight=False)


def table(title: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table; each column is (name, `left` or `right`). Values are shown as they are, whatever brackets they hold."""
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    made: Table = Table(title=Text(title) if title else None, title_justify="left")
    for name, justify in columns:
        made.add_column(name, justify="right" if justify == "right" else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(value, style=_STATES.get(value, "")) for value in row))
    console().print(made)


_STATES = {"up to date": "green", "behind": "yellow", "never run": "yellow", "broken": "red", "unreachable": "red"}
