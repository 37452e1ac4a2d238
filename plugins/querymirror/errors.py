"""Every error of querymirror; the class says what to do about it.

PipelineError
├── SpecError        fix the YAML (or the SQL it names); never retried
├── SpecTextError    a piece of a spec's text can't be read; the loader makes a SpecError of it
├── TransientError   may pass by itself; Airflow retries
├── TerminalError    fail now; a retry gives the same answer
│   ├── SchemaError      the target can't be adapted safely
│   └── MassDeleteError  a run would delete more than `max_delete_share`
├── RequestError     a request to the API can't be done; carries the HTTP status and a code
├── TransformError   a transform can't make anything of some rows; their reader turns it into what on_reject says
└── RecordError      the target refused rows; carries counts and samples
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a file: where it is, what is wrong, how to fix it.

    Args:
        file: the file as the user knows it, relative to the include folder's parent.
        line: 1-based line in that file; 0 = the file as a whole.
        where: dotted path of the field, `source.cursor_column`; empty for the file as a whole.
        what: what is wrong, with the value found.
        fix: what to do about it.
    """

    file: str
    line: int
    where: str
    what: str
    fix: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        field = f" {self.where}:" if self.where else ":"
        return f"{place}{field} {self.what} {self.fix}".rstrip()


class PipelineError(Exception):
    """Root of all errors of querymirror.

    Args:
        what: what happened, with the facts.
        where: pipeline, step or file; empty when the message says it.
        fix: what the reader can do.
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, where, fix
        head = f"{where}: {what}" if where else what
        super().__init__(f"{head} {fix}".rstrip())


class SpecError(PipelineError):
    """A spec is wrong; holds every problem of the file at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(p) for p in problems))


class SpecTextError(PipelineError):
    """A piece of a spec's text can't be read, or breaks a rule; says where in that text.

    Args:
        at: 1-based line of a YAML text, 0 = all of it; offset of a character in a statement or a name.
        what: what is wrong.
        fix: what to do about it.
    """

    def __init__(self, at: int, what: str, fix: str = "") -> None:
        self.at = at
        super().__init__(what, fix=fix)


class TransientError(PipelineError):
    """May pass by itself: a connection lost, a server restarting, a lock not had in time."""


class TerminalError(PipelineError):
    """A retry would give the same answer."""


class SchemaError(TerminalError):
    """The target's columns or mapping differ from the query's in a way that can't be adapted safely."""


class MassDeleteError(TerminalError):
    """A run would delete more of the target than `max_delete_share` allows; nothing was deleted.

    Args:
        pipeline: its id.
        orphans: rows that would go.
        total: rows in the target.
        share: the limit, 0..1.
    """

    def __init__(self, pipeline: str, *, orphans: int, total: int, share: float) -> None:
        self.pipeline, self.orphans, self.total, self.share = pipeline, orphans, total, share
        super().__init__(
            f"{orphans} of {total} target rows are no longer in the query ({orphans / max(total, 1):.0%}), "
            f"more than max_delete_share {share:.0%} allows; nothing was deleted.",
            where=pipeline,
            fix="If that is right, trigger a run with allow_mass_delete: true or raise max_delete_share; "
            "if not, look at the source: was a table emptied or a filter changed?",
        )


class RequestError(PipelineError):
    """A request to the API can't be done as it was made.

    Args:
        status: the HTTP status of the answer.
        code: one word for programs, `not_found` for example.
    """

    def __init__(self, what: str, *, status: int, code: str, where: str = "", fix: str = "") -> None:
        self.status, self.code = status, code
        super().__init__(what, where=where, fix=fix)


class TransformError(PipelineError):
    """A transform failed on a batch of rows, or returned what is not allowed."""


class RecordError(PipelineError):
    """The target, or the pipeline's transform, refused rows.

    Args:
        pipeline: its id.
        rejected: how many rows.
        samples: (key, reason) of a few of them.
        by: who refused them.
    """

    def __init__(self, pipeline: str, *, rejected: int, samples: Sequence[tuple[str, str]], by: str = "the target") -> None:
        self.pipeline, self.rejected, self.samples = pipeline, rejected, tuple(samples)
        shown = "; ".join(f"{key}: {reason}" for key, reason in samples[:3])
        other = "the target's definition" if by == "the target" else by
        super().__init__(
            f"{by} refused {rejected} row(s): {shown}. The state did not move.",
            where=pipeline,
            fix=f"Fix the rows in the source or {other}, or set on_reject: dead_letter to keep them aside and go on.",
        )
