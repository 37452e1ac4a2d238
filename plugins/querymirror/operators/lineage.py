"""OpenLineage: which tables a run read and which target it wrote, for the provider where it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from querymirror.connections import Address
from querymirror.records import CycleSummary
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.target import PostgresTarget

_PORTS = {"postgres": 5432, "elasticsearch": 9200}


def wanted() -> bool:
    """Whether the OpenLineage provider is installed; nothing is gathered otherwise."""
    return find_spec("airflow.providers.openlineage") is not None


@dataclass(frozen=True)
class Lineage:
    """What one run read and wrote, in OpenLineage's names: a namespace is a server, a name says where on it.

    Attributes:
        inputs: (namespace, name) of the source's tables.
        output: (namespace, name) of the target.
        query: the pipeline's SQL.
        rows: written.
    """

    inputs: tuple[tuple[str, str], ...]
    output: tuple[str, str]
    query: str
    rows: int

    def as_operator_lineage(self) -> Any:
        """Returns the provider's form of it."""
        from airflow.providers.common.compat.openlineage.facet import (  # noqa: PLC0415 - only where the provider is installed
            Dataset,
            OutputDataset,
            OutputStatisticsOutputDatasetFacet,
            SQLJobFacet,
        )
        from airflow.providers.openlineage.extractors import OperatorLineage  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415

        namespace, name = self.output
        statistics = {"outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=self.rows)}
        return OperatorLineage(
            inputs=[Dataset(namespace=server, name=table) for server, table in self.inputs],
            outputs=[OutputDataset(namespace=namespace, name=name, outputFacets=statistics)],
            job_facets={"sql": SQLJobFacet(query=self.query)},
        )


def lineage_of(spec: PipelineSpec, source: Address, target: Address, tables: Sequence[str], summary: CycleSummary) -> Lineage:
    """Returns the lineage of a run.

    Args:
        spec: the pipeline.
        source: its server.
        target: its server.
        tables: `schema.table` of the source's tables that the query reads.
        summary: of the run.
    """
    inputs = tuple((_namespace(source), f"{source.schema}.{table}") for table in tables)
    name = f"{target.schema}.{spec.target.table}" if isinstance(spec.target, PostgresTarget) else spec.target.index
    return Lineage(inputs, (_namespace(target), name), spec.source.query.text, summary.upserted)


def _namespace(address: Address) -> str:
    return f"{address.conn_type}://{address.host}:{address.port or _PORTS.get(address.conn_type, 0)}"
