"""How long parsing takes in a process that has imported everything, as a forked worker has: `python -m benchmarks.scale.parsing INCLUDE DAG`."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from airflow.serialization.serialized_objects import DagSerialization

from querymirror.dag_factory import build_dags

TASK_PARSES = 10


def measured(include: Path, dag_id: str) -> dict[str, float]:
    """Returns seconds: of building and of serializing all DAGs, and the median of building one, as a task does."""
    begun = time.perf_counter()
    dags = list(build_dags(include))
    built = time.perf_counter()
    for dag in dags:
        DagSerialization.to_dict(dag)
    done = time.perf_counter()
    one = [_seconds(lambda: list(build_dags(include, only=dag_id))) for _ in range(TASK_PARSES)]
    return {"dags": len(dags), "build_all": built - begun, "serialize_all": done - built, "build_one_first": one[0], "build_one": statistics.median(one)}


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measured(Path(sys.argv[1]), sys.argv[2])) + "\n")
