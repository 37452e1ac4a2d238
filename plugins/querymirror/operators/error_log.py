"""One `.log` file a pipeline, for a person with a shell: what went wrong, when, in which run and task."""

from __future__ import annotations

import fcntl
import logging
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

from querymirror.spec.loader import default_include
from querymirror.spec.settings import Settings

MAX_BYTES = 1_000_000  # of one file; then it becomes <pipeline>.log.1, up to .4, and the oldest goes
KEPT = 4

log = logging.getLogger(__name__)


def write_error(settings: Settings, pipeline: str, where: str, text: str) -> None:
    """Appends an error to the pipeline's file, where settings name a folder; a folder that can't be written is only told in the task's log.

    Args:
        settings: name `error_log_dir`; a relative one lies beside the include folder.
        pipeline: its id.
        where: task and run, in one line.
        text: what went wrong, also over several lines.
    """
    if settings.error_log_dir is None:
        return
    folder = default_include().resolve().parent / settings.error_log_dir
    try:
        append(folder, pipeline, f"{datetime.now(UTC).isoformat(timespec='seconds')} {pipeline} {where}: {text}")
    except OSError as err:
        log.warning("error_log_dir %s can't be written: %s", settings.error_log_dir, err)


def append(folder: Path, pipeline: str, entry: str) -> None:
    """Writes an entry; processes that write at the same time wait for each other, so none writes into a file that another one rotates.

    Raises:
        OSError: the folder or the file can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{pipeline}.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released with the file, also by a process that dies
        handler = _Handler(folder / f"{pipeline}.log", maxBytes=MAX_BYTES, backupCount=KEPT, encoding="utf-8")
        try:
            handler.emit(logging.LogRecord(pipeline, logging.ERROR, "", 0, entry, None, None))
        finally:
            handler.close()


class _Handler(RotatingFileHandler):
    """A handler that says when it could not write."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, ARG002 - logging's name
        """Raises what went wrong."""
        raise  # noqa: PLE0704 - logging calls this where the error is handled
