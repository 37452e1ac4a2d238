"""By what is seen that a file of the include folder was added, changed or removed, without reading any of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

Stamps = frozenset[tuple[str, int, int]]
"""Path, time of the last change (nanoseconds) and bytes of each file."""


def stamps(include: Path) -> Stamps:
    """Returns those of all files of a folder and below it; hidden ones and what Python compiled are passed over, a folder that is not there has none."""
    return frozenset(_files(str(include)))


def _files(folder: str, *, top: bool = True) -> Iterator[tuple[str, int, int]]:
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:  # removed while it was looked for
        return
    for entry in entries:
        if entry.name.startswith((".", "__pycache__")):
            continue
        # `jobs` and its like may be links to folders elsewhere; a link below them could lead back here
        if entry.is_dir(follow_symlinks=top):
            yield from _files(entry.path, top=False)
            continue
        try:
            found = entry.stat()
        except FileNotFoundError:
            continue
        yield entry.path, found.st_mtime_ns, found.st_size
