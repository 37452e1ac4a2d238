"""The stores that need no Airflow keep the contract of all stores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from querymirror.errors import TerminalError
from querymirror.state.base import StateStore
from querymirror.state.memory import FileStateStore, MemoryStateStore
from tests.state_contract import CHECKS, a_state

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_memory(check: Callable[[StateStore], None]) -> None:
    """The in-memory twin keeps the contract."""
    check(MemoryStateStore())


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_file(check: Callable[[StateStore], None], tmp_path: Path) -> None:
    """The file of `--state` keeps the contract."""
    check(FileStateStore(tmp_path / "states" / "state.json"))


def test_a_file_outlives_its_process(tmp_path: Path) -> None:
    """Another store on the same file reads what the first wrote."""
    FileStateStore(tmp_path / "s.json").write("films", a_state())
    assert FileStateStore(tmp_path / "s.json").read("films") == a_state()


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    """A damaged file is an error that says how to go on, not an absent state."""
    path = tmp_path / "s.json"
    path.write_text("{")
    with pytest.raises(TerminalError, match=r"s\.json is not JSON \(.*\)\. Remove the file to start over, or name another with --state\."):
        FileStateStore(path).read("films")
