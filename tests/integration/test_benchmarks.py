"""The benchmarks run, at sizes that mean nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration


def test_smoke(tmp_path: Path, checkout: Path) -> None:
    """Rows of tables are measured on servers of their own, shown and kept; nothing runs on."""
    options = ["--profile", "smoke", "--only", "parallel,incremental,orphans,quiet,start", "--root", str(tmp_path / "stack"), "--results", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", "benchmarks", *options], cwd=checkout, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "smoke.local.json").read_text())["rows"]
    assert [row["name"] for row in rows] == ["parallel", "incremental", *["orphans"] * 4, *["quiet"] * 4, "start"]
    assert all(sample > 0 for row in rows for sample in row["ours"])
    assert "two batches in parallel" in done.stdout
    assert list((tmp_path / "stack").iterdir()) == []


def test_peers(tmp_path: Path, checkout: Path) -> None:
    """Ours and another way are measured on the same tables, compared with the source, shown and kept; the one that leaves deleted rows is told."""
    options = ["--profile", "smoke", "--only", "hand", "--root", str(tmp_path / "stack"), "--results", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", "benchmarks.peers", *options], cwd=checkout, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    works = list(json.loads((tmp_path / "peers-smoke.local.json").read_text())["tables"].values())
    assert [work["ours"]["difference"] for work in works] == [""] * 5
    assert [work["hand"]["difference"] for work in works if "hand" in work] == ["", "", "", "30 rows that are gone in the source"]
    assert [path.name for path in (tmp_path / "stack").iterdir()] == ["peers"]
