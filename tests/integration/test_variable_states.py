"""States in Airflow Variables, as the command line reaches them; tasks' way is shown in tests/acceptance."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from querymirror.errors import TerminalError
from querymirror.state.base import StateStore
from querymirror.state.metadata_variables import MetadataVariables
from querymirror.state.variables import VariableStateStore, variables_of_this_process
from tests.state_contract import CHECKS, a_state, clean

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("airflow_metadata")]


@pytest.fixture
def store() -> Iterator[VariableStateStore]:
    """The store of a process beside Airflow."""
    found = VariableStateStore()
    yield found
    clean(found)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[StateStore], None], store: VariableStateStore) -> None:
    """Variables in the metadata database keep the contract of all stores."""
    check(store)


def test_without_a_supervisor_the_database_is_used() -> None:
    """A process that no Airflow component started reaches Variables in the database."""
    assert isinstance(variables_of_this_process(), MetadataVariables)


def test_a_state_is_readable_json(store: VariableStateStore) -> None:
    """The Variable `querymirror:<pipeline>` holds one JSON object over several lines, for people in Airflow's UI."""
    store.write("films", a_state())
    text = MetadataVariables().read("querymirror:films")
    assert text is not None
    assert json.loads(text) == a_state().to_json()
    assert text.count("\n") > 10


def test_a_variable_of_another_kind_is_named(store: VariableStateStore) -> None:
    """What is no state is an error that says how to go on, not an absent state."""
    MetadataVariables().write("querymirror:films", "[1]", "")
    with pytest.raises(TerminalError, match=r"^films: the Variable 'querymirror:films' does not hold a state \(.*\)\. Put back what it held, or delete it"):
        store.read("films")
