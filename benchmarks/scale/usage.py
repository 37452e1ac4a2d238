"""CPU and memory by component: what a process and all that it started have used."""

from __future__ import annotations

import psutil

from benchmarks import usage
from benchmarks.scale.fleet import Fleet
from devstack.airflow import COMPONENTS

MIB = 2**20


def families(fleet: Fleet) -> dict[str, list[psutil.Process]]:
    """Returns the living processes of each of Airflow's components and of both servers."""
    found = {name: fleet.airflow.processes(name) for name in COMPONENTS}
    return found | {"metadata database": usage.postgres_family(fleet.metadata), "source and target": usage.postgres_family(fleet.data)}


def cpu_seconds(fleet: Fleet) -> dict[str, float]:
    """Returns the CPU that each component has used since it started, ended children included."""
    return {name: usage.cpu_seconds(processes) for name, processes in families(fleet).items()}


def memory_mib(fleet: Fleet) -> dict[str, float]:
    """Returns the memory of each component now; what processes share counts once (PSS)."""
    return {name: usage.total(processes, _pss) / MIB for name, processes in families(fleet).items()}


def _pss(process: psutil.Process) -> float:
    return float(process.memory_full_info().pss)
