"""include/settings.yaml: what a deployment shares, above all the targets that may be written."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from pydantic import Field

from querymirror.spec.base import SpecModel
from querymirror.spec.target import PostgresTarget, Target


class AllowedTarget(SpecModel):
    """Tables or indices of one connection that pipelines may write; shell patterns (`analytics.*`)."""

    conn_id: str
    tables: tuple[str, ...] = ()
    indices: tuple[str, ...] = ()


class Settings(SpecModel):
    """What a deployment shares.

    Attributes:
        allowed_targets: nothing else is ever written; none = nothing may be written.
        defaults: values for spec fields that a spec leaves out, plus `source_conn_id` and `target_conn_id`.
    """

    allowed_targets: tuple[AllowedTarget, ...] = ()
    defaults: dict[str, Any] = Field(default_factory=dict)

    def allows(self, target: Target) -> bool:
        """Whether a pipeline may write this target."""
        for allowed in self.allowed_targets:
            if allowed.conn_id != target.conn_id:
                continue
            name, patterns = (target.table, allowed.tables) if isinstance(target, PostgresTarget) else (target.index, allowed.indices)
            if any(fnmatchcase(name, pattern) for pattern in patterns):
                return True
        return False
