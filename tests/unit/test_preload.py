"""What Airflow's components import before they fork tasks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from querymirror.preload import NEEDED

pytestmark = pytest.mark.unit

PROGRAM = """
import sys
from querymirror.preload import on_starting
class {component}: pass
on_starting({component}())
print(" ".join(name for name in {needed} if name in sys.modules))
"""


@pytest.mark.parametrize(("component", "imported"), [("Job", NEEDED), ("TaskRunnerMarker", ())])
def test_only_what_forks_imports_for_others(component: str, imported: tuple[str, ...]) -> None:
    """A scheduler has all modules of a task; a task's process is told of as well and imports none for it."""
    program = PROGRAM.format(component=component, needed=NEEDED)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert tuple(done.stdout.splitlines()[-1].split()) == imported
