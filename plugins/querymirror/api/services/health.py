"""Is everything well: Airflow's parts, each server, each pipeline; never longer than a bound."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from airflow.api.common.airflow_health import get_airflow_health

from querymirror.api.datamodels import HealthAnswer, PipelineHealth, PipelineRow, ServerHealth
from querymirror.api.services.looks import reachable
from querymirror.spec.loader import Loaded
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.settings import Settings


def health(rows: Sequence[PipelineRow], loaded: Loaded, settings: Settings, *, seconds: float) -> HealthAnswer:
    """Asks every server once, all at the same time.

    Args:
        rows: the pipelines to speak of.
        loaded: their specs.
        settings: what may be written.
        seconds: for all servers together.
    """
    asked: dict[tuple[str, str], PipelineSpec] = {}
    for row in rows:
        spec = loaded.specs.get(row.id)
        if spec is not None:
            asked.setdefault((spec.source.conn_id, "source"), spec)
            asked.setdefault((spec.target.conn_id, "target"), spec)
    servers = _ask(asked, settings, seconds)
    parts = {name.replace("_", "-"): str(part.get("status") or "unknown") for name, part in get_airflow_health().items() if isinstance(part, dict)}
    pipelines = [_pipeline(row, loaded.specs.get(row.id), servers) for row in rows]
    well = all(status == "healthy" for status in parts.values()) and all(s.ok for s in servers.values()) and all(row.severity > 0 for row in rows)
    return HealthAnswer(status="ok" if well else "degraded", airflow=parts, servers=[servers[key] for key in sorted(servers)], pipelines=pipelines)


def _ask(asked: dict[tuple[str, str], PipelineSpec], settings: Settings, seconds: float) -> dict[tuple[str, str], ServerHealth]:
    if not asked:
        return {}

    def one(key: tuple[str, str]) -> ServerHealth:
        begun = time.monotonic()
        error = reachable(asked[key], settings, key[1], seconds=seconds)
        return ServerHealth(conn_id=key[0], ok=not error, seconds=round(time.monotonic() - begun, 3), error=error)

    with ThreadPoolExecutor(max_workers=len(asked)) as pool:
        return dict(zip(asked, pool.map(one, asked), strict=True))


def _pipeline(row: PipelineRow, spec: PipelineSpec | None, servers: dict[tuple[str, str], ServerHealth]) -> PipelineHealth:
    def side(conn_id: str, name: str) -> str:
        found = servers[(conn_id, name)]
        return "ok" if found.ok else found.error

    source = side(spec.source.conn_id, "source") if spec else "the spec is broken"
    target = side(spec.target.conn_id, "target") if spec else "the spec is broken"
    return PipelineHealth(id=row.id, state=row.state, health=row.health.text, source=source, target=target)
