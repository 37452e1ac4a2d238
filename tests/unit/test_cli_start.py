"""What commands import before they do anything: a person waits for it, and cron pays for it every time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from querymirror.cli.app import COMMANDS

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
ENV = {"PYTHONPATH": str(ROOT / "plugins"), "PATH": os.environ["PATH"]}
# Each costs a tenth of a second or more, or seconds (airflow).
HEAVY = {"airflow", "elasticsearch", "elastic_transport", "rich", "sqlglot", "croniter", "sqlalchemy", "jsonschema"}
DRIVERS = {"psycopg", "asyncpg"}
RUN = """
import json, sys
from querymirror.cli.app import create_app
sys.argv = ["querymirror", *{arguments}]
try:
    create_app([{command!r}])(prog_name="querymirror")
except SystemExit:
    pass
sys.stderr.write(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""


def imported(command: str, *arguments: str) -> set[str]:
    """Returns the top-level modules that a command has imported when it ends."""
    code = RUN.format(command=command, arguments=[command, *arguments])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENV, cwd=ROOT)
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_run_of_a_table() -> None:
    """A run reads its spec, asks for its connections and has not imported what a table's pipeline never uses."""
    assert imported("run", "film_dim", "--state", "nowhere.json") & HEAVY == set()


@pytest.mark.parametrize(("command", "arguments"), [("plan", ["film_dim"]), ("verify", ["film_dim"]), ("rejects", ["film_dim"])])
def test_other_commands_of_a_table(command: str, arguments: list[str]) -> None:
    """The others that connect are as light; Airflow comes only where its Variables are asked for."""
    assert imported(command, *arguments) & HEAVY == set()


def test_commands_that_connect_to_nothing() -> None:
    """A check of first-form files, and the schema, need no driver and no Airflow."""
    assert imported("validate", "include/jobs/film_dim.yaml", "--include", "include") & (HEAVY - {"sqlglot"} | DRIVERS) == set()
    assert imported("schema") & (HEAVY | DRIVERS) == set()


def test_yaml_is_read_by_the_c_library() -> None:
    """PyYAML's parser written in Python takes twenty times as long; where libyaml is there, it is the one."""
    from yaml import __with_libyaml__  # noqa: PLC0415

    from querymirror.spec import yaml_lines  # noqa: PLC0415

    assert vars(yaml_lines)["_Loader"].__name__ == ("CSafeLoader" if __with_libyaml__ else "SafeLoader")


def test_start_of_run_is_near_the_drivers() -> None:
    """The way to the first query takes at most 0.7 s of a processor more than importing psycopg; the best of three counts."""

    def seconds(*arguments: str) -> float:
        before = os.times()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=False, env=ENV, cwd=ROOT)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    started = time.monotonic()
    ours = min(seconds("-m", "querymirror", "run", "film_dim", "--state", "nowhere.json") for _ in range(3))
    drivers = min(seconds("-c", "import psycopg") for _ in range(3))
    assert ours - drivers < 0.7, f"{ours:.2f} s against {drivers:.2f} s, measured in {time.monotonic() - started:.1f} s"


def test_every_command_is_a_module_of_its_own() -> None:
    """Only the command that is called is imported; each can be."""
    for command in COMMANDS:
        assert (ROOT / "plugins" / "querymirror" / "cli" / f"{command}.py").is_file()
