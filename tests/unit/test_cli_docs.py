"""docs/cli.md names every command and option, and what it shows of broken specs is what is printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from querymirror.cli.app import COMMANDS, create_app

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
DOCS = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
COMMAND_OF: dict[str, Any] = vars(typer.main.get_command(create_app()))["commands"]


def section(command: str) -> str:
    """Returns what the page says of a command."""
    found = re.search(rf"^## `{command}`\n(.*?)(?=^## |\Z)", DOCS, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/cli.md has no section of {command}"
    return found[1]


def options(command: str) -> set[str]:
    """Returns the options that a command takes."""
    parameters = COMMAND_OF[command].params
    return {name for p in parameters for name in (*p.opts, *p.secondary_opts) if name.startswith("--") and name != "--help"}


def test_every_command_is_in_the_table() -> None:
    """The table at the top has all commands, and no other."""
    assert tuple(re.findall(r"^\| \[`(\w+)`\]\(#\w+\)", DOCS, re.MULTILINE)) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_described(command: str) -> None:
    """Each option of a command stands in its section; each option that stands in its table exists."""
    said = section(command)
    assert {option for option in options(command) if f"`{option}" not in said and f"{option} " not in said} == set()
    rows = re.findall(r"^\| (`--.*?) \|", said, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(--[a-z-]+)", row)} <= options(command)


def test_the_broken_spec_says_what_the_page_says(tmp_path: Path) -> None:
    """The page's first broken spec, validated as it stands there, gives the page's output."""
    spec, output = re.findall(r"```yaml\n(# include/jobs/film_ratings.yaml\n.*?)```\n\n```console\n\$ .*?\n(.*?)```", DOCS, re.DOTALL)[0]
    shutil.copytree(ROOT / "include", tmp_path / "include")
    (tmp_path / "include" / "jobs" / "film_ratings.yaml").write_text(spec, encoding="utf-8")
    arguments = [sys.executable, "-m", "querymirror", "validate", "include/jobs/film_ratings.yaml"]
    env = {"PYTHONPATH": str(ROOT / "plugins"), "PATH": os.environ["PATH"]}
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout) == (1, output)
