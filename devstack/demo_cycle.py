"""One cycle of all pipelines through Airflow, as a person would run it: switch on, trigger, wait, read the counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from devstack.airflow_api import UNFINISHED, AirflowApi, AirflowApiError, DagRun

POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Counts:
    """What the runs of one pipeline did in one cycle of the demo.

    Attributes:
        runs: how many; a scheduled run may have come beside the one by hand.
        seconds: the runs' own.
        failure: the last log lines of what failed; empty = nothing did.
    """

    pipeline: str
    runs: int = 0
    read: int = 0
    upserted: int = 0
    deleted: int = 0
    seconds: float = 0.0
    failure: str = ""


def run_all(api: AirflowApi, pipelines: Iterable[str], *, timeout: float, done: Callable[[Counts], None]) -> dict[str, Counts]:
    """Runs every pipeline once, side by side, and waits for all.

    Args:
        api: of the Airflow that holds their DAGs.
        pipelines: their ids; all must be known to Airflow.
        timeout: seconds for all of them together.
        done: told of each pipeline as it ends.

    Returns:
        counts by pipeline, summed over the run by hand and what the schedule started meanwhile.

    Raises:
        AirflowApiError: they did not end in time.
    """
    pipelines = list(pipelines)
    before = {pipeline: {run.run_id for run in api.runs(pipeline) if run.state not in UNFINISHED} for pipeline in pipelines}
    by_hand = {pipeline: api.trigger(pipeline) for pipeline in pipelines}
    results: dict[str, Counts] = {}
    end = time.monotonic() + timeout
    while len(results) < len(pipelines):
        for pipeline in pipelines:
            if pipeline in results:
                continue
            runs = [run for run in api.runs(pipeline) if run.run_id not in before[pipeline]]
            if all(run.state not in UNFINISHED for run in runs) and any(run.run_id == by_hand[pipeline] for run in runs):
                results[pipeline] = _count(api, pipeline, runs)
                done(results[pipeline])
        if len(results) < len(pipelines):
            _wait(end, [pipeline for pipeline in pipelines if pipeline not in results], timeout)
    return results


def _wait(end: float, waiting: list[str], timeout: float) -> None:
    if time.monotonic() > end:
        message = f"{', '.join(waiting)} did not end within {timeout:.0f} s."
        raise AirflowApiError(message)
    time.sleep(POLL_SECONDS)


def _count(api: AirflowApi, pipeline: str, runs: list[DagRun]) -> Counts:
    summaries = [summary for run in runs if (summary := api.summary(run)) is not None]
    failed = [run for run in runs if run.state != "success"]
    return Counts(
        pipeline=pipeline,
        runs=len(runs),
        read=sum(summary.read for summary in summaries),
        upserted=sum(summary.upserted for summary in summaries),
        deleted=sum(summary.deleted for summary in summaries),
        seconds=sum(summary.seconds for summary in summaries),
        failure="\n".join(api.failure(run) or f"{pipeline}: run {run.run_id} is {run.state}" for run in failed),
    )
