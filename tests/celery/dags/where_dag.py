"""Tells what a worker runs: its name, and from where it has the code and the specs."""  # noqa: INP001 - Airflow loads the file by its path

from __future__ import annotations

from airflow.sdk import dag, task
from airflow.sdk.api.client import get_hostname

import querymirror
from querymirror.spec.loader import default_include


@task
def where() -> list[str]:
    """Returns the machine's name, the file of the package, and the include folder."""
    return [get_hostname(), str(querymirror.__file__), str(default_include()), __file__]  # type: ignore[no-untyped-call]


@dag(dag_id="where", schedule=None, catchup=False, is_paused_upon_creation=False)
def _where() -> None:
    for name in ("worker-1", "worker-2"):
        where.override(task_id=name, queue=name)()


_where()
