"""How commands point at what they complain of, and what they say on wrong arguments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from querymirror.cli.app import create_app
from querymirror.cli.output import column_of, excerpt
from querymirror.cli.status import statuses
from querymirror.errors import Problem, TerminalError
from querymirror.state.memory import FileStateStore, MemoryStateStore

pytestmark = pytest.mark.unit

INCLUDE = Path(__file__).resolve().parents[2] / "include"
SPEC = """source:
  conn_id: movies_db
  query: SELECT id FROM film
  primary_key: [id]
  changes:
    - {name: note, keys_sql: SELECT}
target: {type: postgres, conn_id: analytics_db, tabel: analytics.film}
"""


@pytest.fixture
def include(tmp_path: Path) -> Path:
    """An include folder with one spec, whose field `table` is misspelt."""
    folder = tmp_path / "include"
    (folder / "jobs").mkdir(parents=True)
    (folder / "jobs" / "film.yaml").write_text(SPEC, encoding="utf-8")
    return folder


def run(*arguments: str) -> tuple[int, str, str]:
    """Runs a command in this process: exit status, what it said, what it complained of."""
    done = CliRunner().invoke(create_app(), list(arguments))
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("number", "where", "column", "marked"),
    [
        (4, "source.primary_key", 3, "  primary_key: [id]"),
        (7, "target.tabel", 49, "target: {type: postgres, conn_id: analytics_db, tabel: analytics.film}"),
        (6, "source.changes[0].keys_sql", 20, "    - {name: note, keys_sql: SELECT}"),
        (6, "source.changes[0]", 7, "    - {name: note, keys_sql: SELECT}"),
        (4, "", 0, "  primary_key: [id]"),
    ],
)
def test_the_line_is_shown_with_a_mark(include: Path, number: int, where: str, column: int, marked: str) -> None:
    """A problem's line follows it, with a mark under the field; where no field is named, without one."""
    problem = Problem("include/jobs/film.yaml", number, where, "what.", "fix.")
    shown = excerpt(problem, include)
    assert shown[0] == f"    {number} | {marked}"
    assert column_of(problem, marked) == column
    assert shown[1:] == ([] if not column else [" " * 6 + "| " + " " * (column - 1) + "^"])


def test_a_line_that_is_not_there(include: Path) -> None:
    """A file that can't be read, and a file as a whole, have no line to show."""
    assert excerpt(Problem("include/jobs/none.yaml", 3, "a", "", ""), include) == []
    assert excerpt(Problem("include/jobs/film.yaml", 0, "a", "", ""), include) == []
    assert excerpt(Problem("include/jobs/film.yaml", 99, "a", "", ""), include) == []


@pytest.mark.parametrize("command", ["run", "plan", "verify", "rejects"])
def test_a_broken_spec_is_pointed_into(include: Path, command: str) -> None:
    """Each command that takes a pipeline shows the line that is wrong, and fails; with --json in parts."""
    (include / "settings.yaml").write_text("allowed_targets: [{conn_id: analytics_db, tables: ['*']}]\n", encoding="utf-8")
    status, said, complained = run(command, "film", "--include", str(include))
    assert (status, said) == (1, "")
    assert "include/jobs/film.yaml:7 target.tabel: there is no such field. Did you mean table?" in complained
    assert "    7 | target: {type: postgres, conn_id: analytics_db, tabel: analytics.film}\n" + " " * 6 + "| " + " " * 48 + "^" in complained
    status, said, _ = run(command, "film", "--include", str(include), "--json")
    problem = next(p for p in json.loads(said)["problems"] if p["where"] == "target.tabel")
    assert (status, problem["line"], problem["column"]) == (1, 7, 49)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "film_dim", "--verify", "--full-refresh"], "Give one of --full-refresh, --verify and --window.\n"),
        (["plan", "film_dim", "--verify", "--window", "1", "2"], "Give one of --full-refresh, --verify and --window.\n"),
        (["rejects", "film_dim", "--replay", "--drop"], "Give one of --replay and --drop.\n"),
        (["new", "x"], "Give one of --table and --query.\n"),
        (["new", "x", "--query", "none.sql", "--include", str(INCLUDE)], "include/sql/none.sql does not exist.\n"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_arguments_that_do_not_go_together(arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong usage is told, with the exit status that shells know for it."""
    monkeypatch.setenv("AIRFLOW_CONN_MOVIES_DB", "postgresql://127.0.0.1:1/none")
    assert run(*arguments) == (2, "", said)


def test_a_connection_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its variable a connection is missing, and the error names the variable."""
    monkeypatch.delenv("AIRFLOW_CONN_MOVIES_DB", raising=False)
    status, said, complained = run("plan", "film_dim", "--include", str(INCLUDE))
    assert (status, said) == (1, "")
    assert complained.startswith("TerminalError: connection 'movies_db' is not set. Set AIRFLOW_CONN_MOVIES_DB, for example")


def test_status_offline(include: Path, tmp_path: Path) -> None:
    """Without servers the state alone is shown, and a broken spec beside it, which makes the status 1."""
    found = {s.pipeline: s.state for s in statuses(INCLUDE, MemoryStateStore(), offline=True)}
    assert found["film_dim"] == "never run"
    status, said, _ = run("status", "--offline", "--include", str(include), "--state", str(tmp_path / "s.json"), "--json")
    assert (status, [(s["pipeline"], s["state"]) for s in json.loads(said)]) == (1, [("film", "broken")])


def test_status_of_a_damaged_state(tmp_path: Path) -> None:
    """A state file that is none is an error, not an absent state."""
    (tmp_path / "s.json").write_text("{", encoding="utf-8")
    with pytest.raises(TerminalError, match="is not JSON"):
        statuses(INCLUDE, FileStateStore(tmp_path / "s.json"), offline=True)
