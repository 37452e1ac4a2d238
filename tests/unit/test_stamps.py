"""By what a changed include folder is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from querymirror.spec.stamps import stamps

pytestmark = pytest.mark.unit


def test_files_in_subfolders_and_behind_a_linked_folder_count(tmp_path: Path) -> None:
    """A statement in a folder of its own moves the stamps, and so does a file of a `jobs` that is a link to elsewhere."""
    include, elsewhere = tmp_path / "include", tmp_path / "elsewhere"
    (include / "sql" / "team").mkdir(parents=True)
    elsewhere.mkdir()
    (include / "jobs").symlink_to(elsewhere)
    nothing = stamps(include)
    (include / "sql" / "team" / "films.sql").write_text("SELECT 1")
    one = stamps(include)
    (elsewhere / "films.yaml").write_text("{}")
    assert (len(nothing), len(one), len(stamps(include))) == (0, 1, 2)


def test_a_link_back_ends(tmp_path: Path) -> None:
    """A folder that links to one above it is not followed for ever."""
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "films.sql").write_text("SELECT 1")
    (tmp_path / "sql" / "loop").symlink_to(tmp_path)
    assert {Path(path).name for path, _, _ in stamps(tmp_path)} == {"films.sql", "loop"}


def test_hidden_and_compiled_files_do_not_count(tmp_path: Path) -> None:
    """An editor's hidden copy and what Python makes of a transform are no change; nor is a folder that is not there an error."""
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "first.yaml").write_text("{}")
    before = stamps(tmp_path)
    (tmp_path / "jobs" / ".second.yaml.swp").write_text("")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "films.pyc").write_text("")
    assert stamps(tmp_path) == before != frozenset()
    assert stamps(tmp_path / "nothing") == frozenset()
