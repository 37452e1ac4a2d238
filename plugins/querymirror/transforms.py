"""For authors of functions in include/transforms: the types they use, and how a test loads one.

A function gets rows of the query, as they would be stored, and returns rows:

    from querymirror.transforms import Batch

    def to_document(batch: Batch) -> Batch:
        for row in batch:
            row["title_length"] = len(row["title"])
        return [row for row in batch if row["title_length"]]

It may drop rows (they leave the target too), add fields and change them; never the primary key. Batches are cut anywhere, so what a row
becomes depends on that row alone, and the same row always becomes the same. Values are JSON's: text, numbers, true and false, None, lists
and dicts; times are ISO 8601 text, bytes base64. A number that isn't touched keeps all its digits.

A file may import the standard library and what is installed, but no other file of include/transforms: a change there would go unnoticed.
"""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from querymirror.errors import TerminalError

Row = dict[str, Any]
Batch = list[Row]
Function = Callable[[Batch], Batch]

_KEEPS = "querymirror_keeps_all_rows"


def keeps_all_rows(function: Function) -> Function:
    """Marks a function that never drops a row: the pipeline then looks for orphans without calling it, in the database alone."""
    setattr(function, _KEEPS, True)
    return function


def never_drops(function: Function) -> bool:
    """Whether a function is marked with `keeps_all_rows`."""
    return bool(getattr(function, _KEEPS, False))


def load_function(file: Path, name: str) -> Function:
    """Returns a function of a file in include/transforms, for its author's tests.

    Raises:
        TerminalError: the file can't be run, or has no such function.
    """
    return compile_function(file.read_text(encoding="utf-8-sig"), str(file), name)


def compile_function(text: str, file: str, name: str) -> Function:
    """Returns a function of a module's source; the module is put nowhere, so that nothing else sees it and a changed text is a new module.

    Args:
        text: the module's source.
        file: its name, for tracebacks.
        name: of the function.

    Raises:
        TerminalError: the module can't be run, or has no such function.
    """
    module = ModuleType(Path(file).stem)
    module.__file__ = file
    lines = text.splitlines(keepends=True)
    linecache.cache[file] = (len(text), None, lines, file)  # what a traceback shows is what ran, also after the file changed
    try:
        exec(compile(text, file, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - the deployment's own code, as its DAG files are
    except Exception as err:
        message = f"{file} can't be imported: {traced(err, skip=1)}"
        raise TerminalError(message, fix="Correct the file.") from err
    function = module.__dict__.get(name)
    if not callable(function):
        message = f"{file} defines no function {name!r}."
        raise TerminalError(message, fix="Define it, or correct the spec's transform.")
    found: Function = function
    return found


def traced(err: BaseException, *, skip: int) -> str:
    """Returns an error with its traceback, without the `skip` outermost frames, which are querymirror's own."""
    frames = err.__traceback__
    for _ in range(skip):
        frames = frames.tb_next if frames is not None else None
    return "".join(traceback.format_exception(type(err), err, frames)).rstrip()
