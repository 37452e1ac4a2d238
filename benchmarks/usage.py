"""CPU that servers have used: all their processes, those that ended included."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import psutil

from devstack.postgres import PostgresServer


def postgres_family(server: PostgresServer) -> list[psutil.Process]:
    """Returns the server's main process and all others of it that live."""
    main = psutil.Process(int((server.data / "postmaster.pid").read_text().splitlines()[0]))
    return [main, *main.children(recursive=True)]


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """Returns the CPU seconds of processes since they started, with those of their ended children."""
    return total(processes, _cpu)


def total(processes: Iterable[psutil.Process], measure: Callable[[psutil.Process], float]) -> float:
    """Adds up a measure of processes; one that has ended counts nothing: its parent has its CPU from now on."""
    found = 0.0
    for process in processes:
        try:
            found += measure(process)
        except psutil.NoSuchProcess:
            continue
    return found


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)
