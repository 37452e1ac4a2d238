"""CPU and memory by component: what a process and all that it started have used."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import psutil

from benchmarks.scale.fleet import Fleet
from devstack.airflow import COMPONENTS
from devstack.postgres import PostgresServer

MIB = 2**20


def families(fleet: Fleet) -> dict[str, list[psutil.Process]]:
    """Returns the living processes of each of Airflow's components and of both servers."""
    found = {name: fleet.airflow.processes(name) for name in COMPONENTS}
    return found | {"metadata database": _server(fleet.metadata), "source and target": _server(fleet.data)}


def cpu_seconds(fleet: Fleet) -> dict[str, float]:
    """Returns the CPU that each component has used since it started, ended children included."""
    return {name: _total(processes, _cpu) for name, processes in families(fleet).items()}


def memory_mib(fleet: Fleet) -> dict[str, float]:
    """Returns the memory of each component now; what processes share counts once (PSS)."""
    return {name: _total(processes, _pss) / MIB for name, processes in families(fleet).items()}


def _server(server: PostgresServer) -> list[psutil.Process]:
    main = psutil.Process(int((server.data / "postmaster.pid").read_text().splitlines()[0]))
    return [main, *main.children(recursive=True)]


def _total(processes: Iterable[psutil.Process], measure: Callable[[psutil.Process], float]) -> float:
    total = 0.0
    for process in processes:
        try:
            total += measure(process)
        except psutil.NoSuchProcess:
            continue  # its parent has its CPU from now on
    return total


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def _pss(process: psutil.Process) -> float:
    return float(process.memory_full_info().pss)
