"""Batches in processes of their own, as Airflow's mapped tasks have them, but started before the clock runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

from querymirror.connections import Address
from querymirror.records import Batch, BatchResult, Ensured, RunRequest
from querymirror.runtime import open_cycle
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.settings import Settings


class Workers:
    """Processes that wait for batches."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def upsert(
        self, spec: PipelineSpec, addresses: tuple[Address, Address], settings: Settings, *, batches: Sequence[Batch], request: RunRequest, ensured: Ensured
    ) -> list[BatchResult]:
        """Moves batches at the same time; `addresses` are those of source and target."""
        futures = [self._pool.submit(_upsert, spec, addresses, settings, batch, (request, ensured)) for batch in batches]
        return [future.result() for future in futures]


@contextmanager
def workers(count: int) -> Iterator[Workers]:
    """Starts processes that have imported what they need."""
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        # More tasks than processes, each long enough that every process gets one.
        list(pool.map(_ready, range(count * 4)))
        yield Workers(pool)


def _ready(number: int) -> int:
    import time  # noqa: PLC0415 - this body is what warms a process up

    import querymirror.targets.postgres  # noqa: F401, PLC0415 - the import is the point

    time.sleep(0.2)
    return number


def _upsert(spec: PipelineSpec, addresses: tuple[Address, Address], settings: Settings, batch: Batch, run: tuple[RunRequest, Ensured]) -> BatchResult:
    source, target = addresses
    with open_cycle(spec, source=source, target=target, settings=settings) as cycle:
        return cycle.upsert(batch, *run)
