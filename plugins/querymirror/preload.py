"""Imports once, in a process that forks others, what each of those would import: most of the CPU time of a short task of LocalExecutor.

A listener, for Airflow calls one in scheduler and DAG processor before they fork. Workers of other executors import what they need, as before.
"""

from __future__ import annotations

from importlib import import_module

from airflow.listeners import hookimpl

NEEDED = (
    "querymirror.dag_factory",
    "querymirror.runtime",
    "querymirror.targets.elasticsearch",
    "airflow.providers.postgres.hooks.postgres",
    "airflow.providers.elasticsearch.hooks.elasticsearch",
)


@hookimpl
def on_starting(component: object) -> None:
    """Imports it where one of Airflow's long-lived components starts; a task's own process, which is told of as well, imports what it needs."""
    # By name: the class itself would cost each task another import.
    if type(component).__name__ == "Job":
        for name in NEEDED:
            import_module(name)
