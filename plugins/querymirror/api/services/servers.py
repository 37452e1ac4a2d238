"""Questions to sources and targets: through the pipeline's own steps, and never longer than a bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from querymirror.connections import Address, from_connection
from querymirror.errors import RequestError, TerminalError
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.settings import Settings

if TYPE_CHECKING:
    from querymirror.sync.cycle import Cycle

Value = TypeVar("Value")

# threads of our own, so that a server that hangs takes none from Airflow's API; what waits for one of them times out
_THREADS = ThreadPoolExecutor(max_workers=8, thread_name_prefix="querymirror-api")


def address(conn_id: str) -> Address:
    """Returns where a server is.

    Raises:
        TerminalError: Airflow has no such connection.
    """
    try:
        return from_connection(BaseHook.get_connection(conn_id))
    except AirflowNotFoundException as err:
        message = f"connection {conn_id!r} is not defined for the api-server."
        raise TerminalError(message, fix=f"Add it under Admin > Connections or set AIRFLOW_CONN_{conn_id.upper()}.") from err


@contextmanager
def opened(spec: PipelineSpec, settings: Settings, *, statement_timeout: int) -> Iterator[Cycle]:
    """Opens a pipeline's steps for questions.

    Args:
        spec: the pipeline.
        settings: what may be written.
        statement_timeout: seconds that one statement may take in the source.
    """
    # imported here: the drivers cost the api-server half a second at its start
    from querymirror.runtime import open_cycle  # noqa: PLC0415

    bounded_source = spec.source.model_copy(update={"statement_timeout": min(statement_timeout, spec.source.statement_timeout)})
    bounded = spec.model_copy(update={"source": bounded_source})
    with open_cycle(bounded, source=address(spec.source.conn_id), target=address(spec.target.conn_id), settings=settings) as cycle:
        yield cycle


def within(seconds: float, work: Callable[[], Value], *, where: str) -> Value:
    """Returns what `work` returns.

    Raises:
        RequestError: 504, it took longer; it ends by itself later, in a thread of its own.
    """
    future = _THREADS.submit(work)
    try:
        return future.result(seconds)
    except TimeoutError as err:
        future.cancel()
        message = f"no answer within {seconds:g} s."
        raise RequestError(message, status=504, code="timed_out", where=where, fix="The server is slow or hangs; look at it, and try again.") from err
