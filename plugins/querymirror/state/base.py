"""A pipeline's state and the stores that can hold it."""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import Field

from querymirror.facts import Probe, Record
from querymirror.records import CycleSummary, StreamState

KEY_PREFIX = "querymirror:"


def state_key(pipeline_id: str) -> str:
    """Returns the name of the Airflow Variable that holds a pipeline's state."""
    return f"{KEY_PREFIX}{pipeline_id}"


class PipelineState(Record):
    """What was committed last.

    Attributes:
        version: of this form.
        fingerprint: of the spec that filled the target.
        target_identity: the target as the last commit left it.
        delete_missing: of that spec; empty = written before it was kept.
        probe: the source's counters as of the last commit.
        streams: cursor bounds, by stream.
        counted: the table as it was just before both sides were last found to have as many rows; None = unknown.
        compared_at: when source and target were last compared in full, ISO 8601.
        last: the last changed cycle.
    """

    version: int = 1
    fingerprint: str
    target_identity: dict[str, Any]
    delete_missing: str = ""
    probe: Probe = Probe()
    streams: dict[str, StreamState] = Field(default_factory=dict)
    counted: dict[str, Any] | None = None
    compared_at: str = ""
    last: CycleSummary | None = None


class StateStore(Protocol):
    """Holds one state a pipeline; a write replaces the whole state at once."""

    def read(self, pipeline_id: str) -> PipelineState | None:
        """Returns the committed state, None where there is none."""
        ...

    def write(self, pipeline_id: str, state: PipelineState) -> None:
        """Replaces the state; atomic."""
        ...

    def delete(self, pipeline_id: str) -> None:
        """Forgets the state; the next run starts over."""
        ...
