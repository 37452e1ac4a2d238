"""What goes wrong with a part of the stack, told with the end of its log."""

from __future__ import annotations

from pathlib import Path

TAIL_LINES = 20


class DevstackError(Exception):
    """A part of the stack can't be started, reached or stopped.

    Args:
        part: `postgres`, `elasticsearch` or the Airflow process.
        what: what happened, with the facts.
        log: the part's log file; its last lines become part of the message.
        fix: what the reader can do.
    """

    def __init__(self, part: str, what: str, *, log: Path | None = None, fix: str = "") -> None:
        self.part, self.what, self.log, self.fix = part, what, log, fix
        lines = [f"{part}: {what} {fix}".rstrip()]
        if log is not None:
            lines.append(f"The last lines of {log}:")
            lines.extend(f"    {line}" for line in tail(log))
        super().__init__("\n".join(lines))


def tail(log: Path, lines: int = TAIL_LINES) -> list[str]:
    """Returns the last lines of a log file; one line that says so where there is none."""
    if not log.is_file():
        return ["(nothing was written)"]
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 64 * 1024))
        found = file.read().decode(errors="replace").splitlines()
    return found[-lines:] or ["(empty)"]
