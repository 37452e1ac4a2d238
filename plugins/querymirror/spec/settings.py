"""include/settings.yaml: what a deployment shares, above all the targets that may be written."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import Field

from querymirror.spec.base import SpecModel
from querymirror.spec.target import PostgresTarget, Target


class AllowedTarget(SpecModel):
    """Tables or indices of one connection that pipelines may write; shell patterns (`analytics.*`)."""

    conn_id: str
    tables: tuple[str, ...] = ()
    indices: tuple[str, ...] = ()


class Notifier(SpecModel):
    """A notifier of Airflow's, one of a provider or your own."""

    path: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$", description="Where the class is imported from: module.Class.")]
    kwargs: Annotated[dict[str, Any], Field(description="Its arguments; those it has as templates are rendered.")] = Field(default_factory=dict)


class Settings(SpecModel):
    """What a deployment shares.

    Attributes:
        allowed_targets: nothing else is ever written; none = nothing may be written.
        defaults: values for spec fields that a spec leaves out, plus `source_conn_id` and `target_conn_id`.
        on_failure: notifiers by a name of your own, called when a run failed or missed its `deadline`.
        error_log_dir: folder of one `.log` file a pipeline; a relative one lies beside the include folder; None = no files.
    """

    allowed_targets: tuple[AllowedTarget, ...] = ()
    defaults: dict[str, Any] = Field(default_factory=dict)
    on_failure: dict[str, Notifier] = Field(default_factory=dict)
    error_log_dir: Annotated[str | None, Field(min_length=1)] = None

    def allows(self, target: Target) -> bool:
        """Whether a pipeline may write this target."""
        for allowed in self.allowed_targets:
            if allowed.conn_id != target.conn_id:
                continue
            name, patterns = (target.table, allowed.tables) if isinstance(target, PostgresTarget) else (target.index, allowed.indices)
            if any(fnmatchcase(name, pattern) for pattern in patterns):
                return True
        return False
