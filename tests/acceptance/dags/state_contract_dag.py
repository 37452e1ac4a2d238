"""Runs the contract of state stores in a task, where Variables are reached through the api-server."""  # noqa: INP001 - Airflow loads the file by its path

from __future__ import annotations

from airflow.sdk import dag, task

from querymirror.state.variables import ExecutionApiVariables, VariableStateStore, variables_of_this_process
from tests.state_contract import CHECKS, clean


@task
def check_all() -> list[str]:
    """Runs every check; fails with the first that fails."""
    assert isinstance(variables_of_this_process(), ExecutionApiVariables)
    for check in CHECKS:
        store = VariableStateStore()
        check(store)
        clean(store)
    return [check.__name__ for check in CHECKS]


@dag(dag_id="state_contract", schedule=None, catchup=False, is_paused_upon_creation=False)
def _state_contract() -> None:
    check_all()


_state_contract()
