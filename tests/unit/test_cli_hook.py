"""The hook for https://pre-commit.com."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
HOOK = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))[0]


def test_the_hook_runs() -> None:
    """Its command checks the specs of the folder it is run in."""
    program, *arguments = shlex.split(HOOK["entry"])
    assert program == "python"
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=ROOT, env={"PYTHONPATH": str(ROOT / "plugins")})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("spec(s), 0 with problems\n")


@pytest.mark.parametrize(
    ("file", "checked"),
    [
        ("include/jobs/film_dim.yaml", True),
        ("include/sql/movies.sql", True),
        ("include/settings.yaml", True),
        ("deploy/include/jobs/a.yaml", True),
        ("docs/spec.md", False),
        ("plugins/querymirror/spec/loader.py", False),
        ("include/spec.schema.json", False),
    ],
)
def test_files_that_matter(file: str, checked: bool) -> None:
    """It runs when a spec, or a file that specs name, changed."""
    assert bool(re.search(HOOK["files"], file)) == checked
