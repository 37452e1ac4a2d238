"""Creates or adapts the target."""

from __future__ import annotations

from querymirror.errors import TerminalError
from querymirror.records import Ensured
from querymirror.sources.base import Source
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.settings import Settings
from querymirror.spec.target import PostgresTarget
from querymirror.targets.base import Target


def require_allowed(spec: PipelineSpec, settings: Settings) -> None:
    """Refuses a target that include/settings.yaml does not allow; checked again here because files change after they were read.

    Raises:
        TerminalError: with what is allowed.
    """
    if settings.allows(spec.target):
        return
    name = spec.target.table if isinstance(spec.target, PostgresTarget) else spec.target.index
    allowed = "; ".join(f"{a.conn_id}: {', '.join((*a.tables, *a.indices))}" for a in settings.allowed_targets) or "nothing"
    message = f"{spec.target.conn_id} {name!r} is not an allowed target (allowed: {allowed})."
    raise TerminalError(message, where=spec.id, fix="Add it to allowed_targets in include/settings.yaml, or change the spec's target.")


def ensure(source: Source, target: Target) -> Ensured:
    """Makes the target ready for the query's columns."""
    return target.ensure(source.describe())
