"""`watch`: an asset that stands for a pipeline's source and has an event when the source moved."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetWatcher
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from querymirror.spec.pipeline import PipelineSpec

if TYPE_CHECKING:
    from querymirror.triggers.watch_loop import WatchedSource


def watched_asset(spec: PipelineSpec, seconds: float) -> Asset:
    """Returns the asset whose events start a pipeline's cycles beside its schedule.

    Args:
        spec: of the pipeline.
        seconds: between two looks at the counters.
    """
    trigger = SourceWatcher(spec.id, spec.source.conn_id, seconds, spec.fingerprint())
    name = f"querymirror://{spec.id}/source"
    return Asset(name=name, uri=name, group="querymirror", watchers=[AssetWatcher(name=f"watch {spec.id}", trigger=trigger)])


class SourceWatcher(BaseEventTrigger):
    """Sends an event when what a pipeline reads has moved since its last commit.

    All watchers of one connection that a triggerer process runs share one loop, one session and one query a look.

    Args:
        pipeline: its id.
        conn_id: of the source.
        seconds: between two looks.
        fingerprint: of the spec; another one is another trigger, so an edited spec is watched anew.
    """

    def __init__(self, pipeline: str, conn_id: str, seconds: float, fingerprint: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pipeline, self.conn_id, self.seconds, self.fingerprint = pipeline, conn_id, seconds, fingerprint

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Returns what Airflow needs to make this trigger again."""
        kwargs = {name: getattr(self, name) for name in ("pipeline", "conn_id", "seconds", "fingerprint")}
        return f"{type(self).__module__}.{type(self).__name__}", kwargs

    def shared_stream_key(self) -> Hashable:
        """Returns what makes two watchers share their loop: the connection."""
        return ("querymirror", self.conn_id)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Any]:
        """Yields what moved for whom; one a connection, whatever the number of its watchers."""
        async for moved in _source(kwargs["conn_id"]).moved():
            yield moved

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Yields an event for each look that concerns this pipeline."""
        with _source(self.conn_id).watching(self.pipeline, fingerprint=self.fingerprint, seconds=self.seconds) as watch:
            async for moved in shared_stream:
                if watch in moved:
                    yield TriggerEvent(moved[watch])  # type: ignore[no-untyped-call]

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Does the same alone, where the triggerer shares no streams."""
        async for event in self.filter_shared_stream(self.open_shared_stream(self.serialize()[1])):
            yield event


def _source(conn_id: str) -> WatchedSource:
    # the dag-processor imports this module for every parse and needs no driver
    from querymirror.triggers.watch_loop import watched_source  # noqa: PLC0415 - see above

    return watched_source(conn_id)
