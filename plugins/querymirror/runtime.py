"""Puts a pipeline together from its spec and the servers' addresses: the one place that knows the concrete sources and targets."""

from __future__ import annotations

from querymirror.connections import Address
from querymirror.sources.base import Source
from querymirror.sources.postgres import PostgresReader
from querymirror.sources.transformed import TransformedReader
from querymirror.sources.transformed_table import TransformedTableReader
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.settings import Settings
from querymirror.spec.target import PostgresTarget
from querymirror.sync.cycle import Cycle
from querymirror.targets.base import Target
from querymirror.targets.postgres import PostgresTable


def open_cycle(spec: PipelineSpec, *, source: Address, target: Address, settings: Settings) -> Cycle:
    """Returns the pipeline's steps; sessions open when a step needs them, `with` closes them.

    Raises:
        TerminalError: the settings don't allow the target.
    """
    return Cycle(spec, _source(spec, source), _target(spec, target), settings)


def _source(spec: PipelineSpec, address: Address) -> Source:
    if spec.transform is None:
        return PostgresReader(spec, address)
    if isinstance(spec.target, PostgresTarget):
        return TransformedTableReader(spec, address)
    return TransformedReader(spec, address)


def _target(spec: PipelineSpec, address: Address) -> Target:
    if isinstance(spec.target, PostgresTarget):
        return PostgresTable(spec, spec.target, address)
    # Imported here: the client costs a table's pipeline half a second at its start.
    from querymirror.targets.elasticsearch import ElasticsearchIndex  # noqa: PLC0415

    return ElasticsearchIndex(spec, spec.target, address)
