"""The triggerer's memory of states: it spares questions and never outlives a Variable."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from querymirror.state.metadata_variables import MetadataVariables
from querymirror.state.variables import VariableStateStore
from querymirror.triggers.remembered import RememberedStates
from tests.state_contract import a_state, clean

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("airflow_metadata")]


class Counted(MetadataVariables):
    """Airflow's Variables, slow enough that askers meet, with a count of the questions for names."""

    asked = 0

    def names(self, prefix: str) -> frozenset[str]:
        """Returns the names of all Variables that begin so."""
        found = super().names(prefix)
        self.asked += 1
        time.sleep(0.1)
        return found


@pytest.fixture
def store() -> Iterator[VariableStateStore]:
    """The states, emptied in the end."""
    found = VariableStateStore(MetadataVariables())
    yield found
    clean(found)


def test_what_was_kept_is_recalled_until_it_is_old(store: VariableStateStore) -> None:
    """A remembered state is handed out unread, and read again after its time."""
    store.write("films", a_state())
    states = RememberedStates(age=0.4, texts=MetadataVariables())
    assert states.recall("films") is None
    states.keep("films", states.read("films"))
    assert states.recall("films") == a_state()
    time.sleep(0.5)
    assert states.recall("films") is None


def test_a_deleted_variable_is_missed_at_once(store: VariableStateStore) -> None:
    """Deleting the Variable starts a pipeline over, also where its state is remembered."""
    store.write("films", a_state())
    states = RememberedStates(texts=MetadataVariables())
    states.keep("films", states.read("films"))
    store.delete("films")
    assert states.recall("films") is None
    assert states.read("films") is None


def test_forgetting(store: VariableStateStore) -> None:
    """Keeping nothing forgets, so that the next check reads what a commit wrote."""
    store.write("films", a_state())
    states = RememberedStates(texts=MetadataVariables())
    states.keep("films", a_state())
    states.keep("films", None)
    assert states.recall("films") is None


def test_those_who_ask_together_share_a_question(store: VariableStateStore) -> None:
    """Sixteen checks at a time cost a few questions, not sixteen."""
    for number in range(16):
        store.write(f"films{number}", a_state())
    texts = Counted()
    states = RememberedStates(texts=texts)
    for number in range(16):
        states.keep(f"films{number}", a_state())
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda number: states.recall(f"films{number}"), range(16)))
    for number in range(16):
        store.delete(f"films{number}")
    assert found == [a_state()] * 16
    assert texts.asked <= 3
