"""`python -m querymirror validate`, run as people run it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests" / "cases" / "specs"


def validate(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in a folder."""
    env = {"PYTHONPATH": str(ROOT / "plugins"), "PATH": os.environ["PATH"], **environ}
    return subprocess.run([sys.executable, "-m", "querymirror", "validate", *arguments], capture_output=True, text=True, check=False, env=env, cwd=cwd)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with an include folder that holds one good and one bad spec."""
    shutil.copytree(CASES / "include", tmp_path / "include", symlinks=True)
    (tmp_path / "include" / "jobs").mkdir()
    shutil.copy(CASES / "valid" / "smallest.yaml", tmp_path / "include" / "jobs" / "films.yaml")
    text = (CASES / "invalid" / "primary_key_twice.yaml").read_text(encoding="utf-8").replace("analytics.film", "analytics.twice")
    (tmp_path / "include" / "jobs" / "twice.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def test_shipped_specs_are_good() -> None:
    """In the project's own folder every spec is good and the status is 0."""
    done = validate(cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert "include/jobs/movies.yaml: ok\n" in done.stdout


def test_problems_are_printed_with_their_place(project: Path) -> None:
    """Each file gets its line: ok, or its problems; the status is 1."""
    done = validate(cwd=project)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "include/jobs/films.yaml: ok",
        "include/jobs/twice.yaml:3 source.primary_key: 'film_id' stands there 2 times. Name it once.",
        "    3 |   primary_key: [film_id, film_id]",
        "      |   ^",
        "2 spec(s), 1 with problems",
    ]


def test_named_files_only(project: Path) -> None:
    """With files only those are checked, also ones outside of the include folder, which an option or a variable names."""
    draft = project / "draft.yaml"
    shutil.copy(CASES / "valid" / "by_hand.yaml", draft)
    done = validate("include/jobs/films.yaml", str(draft), cwd=project)
    assert done.returncode == 0
    assert done.stdout.splitlines() == ["include/jobs/films.yaml: ok", f"{draft}: ok", "2 spec(s), 0 with problems"]
    assert validate(str(draft), "--include", str(project / "include"), cwd=ROOT).returncode == 0
    assert validate(str(draft), cwd=project.parent, QUERYMIRROR_INCLUDE=str(project / "include")).returncode == 0


def test_json(project: Path) -> None:
    """--json holds every problem in parts."""
    done = validate("--json", cwd=project)
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert answer["ok"] is False
    assert answer["files"][0] == {"file": "include/jobs/films.yaml", "pipeline": "films", "ok": True, "problems": [], "warnings": []}
    problem = {"file": "include/jobs/twice.yaml", "line": 3, "where": "source.primary_key", "what": "'film_id' stands there 2 times.", "fix": "Name it once."}
    problem |= {"column": 3, "text": "  primary_key: [film_id, film_id]"}
    assert answer["files"][1]["problems"] == [problem]


def test_a_missing_file_and_a_missing_folder(project: Path) -> None:
    """What does not exist is a problem like any other."""
    done = validate("nothing.yaml", cwd=project)
    assert (done.returncode, done.stdout.splitlines()[0]) == (
        1,
        "nothing.yaml: the file can't be read: No such file or directory. Check that it exists, is a file and may be read.",
    )
    done = validate(cwd=project / "include" / "jobs")
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "include: there is no such include folder. Name it with --include or in QUERYMIRROR_INCLUDE.")
