"""docs/dependencies.md against the requirement files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")


def names(file: str) -> list[str]:
    """Returns the packages that a requirement file names."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return [re.split(r"[\[<>=!~; ]", line)[0] for line in lines if line and not line.startswith(("#", "-"))]


FILES = ["requirements.txt", "requirements-dev.txt", "requirements-celery.txt"]


@pytest.mark.parametrize("file", FILES)
def test_every_requirement_is_explained(file: str) -> None:
    """Each package that is asked for stands, with its reason, in the table of its file, and the table names no other."""
    section = DOC.split(f"(`{file}`)")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert sorted(name for row in rows for name in re.findall(r"`([^`]+)`", row)) == sorted(names(file))


@pytest.mark.parametrize("file", FILES)
def test_every_requirement_is_locked(file: str) -> None:
    """Each package that is asked for has its version in constraints.txt, so that no two machines install different ones."""
    locked = names("constraints.txt")
    assert [name for name in names(file) if name.lower() not in locked] == []
