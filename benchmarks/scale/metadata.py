"""What Airflow's metadata say of the runs of a trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

_RUNS = """
SELECT dag_id, run_after, start_date, end_date, state FROM dag_run
 WHERE run_type = 'scheduled' AND run_after > %s AND run_after <= %s
"""
_TASKS = """
SELECT count(*) FILTER (WHERE t.pid IS NOT NULL), count(*),
       count(DISTINCT (t.dag_id, t.run_id)) FILTER (WHERE t.task_id = 'commit' AND t.state = 'success')
  FROM task_instance t JOIN dag_run r ON r.dag_id = t.dag_id AND r.run_id = t.run_id
 WHERE r.run_type = 'scheduled' AND r.run_after > %s AND r.run_after <= %s
"""


@dataclass(frozen=True)
class Run:
    """A scheduled run: when it was due, when it started and ended, and its state."""

    dag_id: str
    due: datetime
    started: datetime | None
    ended: datetime | None
    state: str

    @property
    def lag(self) -> float | None:
        """Seconds from its due time to its end; None while it goes on."""
        return (self.ended - self.due).total_seconds() if self.ended else None


class Metadata:
    """Airflow's database.

    Args:
        dsn: of the database `airflow`.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def runs(self, since: datetime, until: datetime) -> list[Run]:
        """Returns the runs due after `since` and not after `until`."""
        return [Run(*row) for row in self._rows(_RUNS, since, until)]

    def tasks(self, since: datetime, until: datetime) -> dict[str, int]:
        """Counts task instances of these runs: those that had a worker process, all, and runs that committed something."""
        processes, instances, committed = self._rows(_TASKS, since, until)[0]
        return {"worker_processes": processes, "task_instances": instances, "runs_with_work": committed}

    def known(self) -> int:
        """Counts the DAGs that can run."""
        return int(self._rows("SELECT count(*) FROM dag d WHERE NOT is_stale AND EXISTS (SELECT FROM serialized_dag s WHERE s.dag_id = d.dag_id)")[0][0])

    def knows(self, dag_id: str) -> bool:
        """Returns whether a DAG is stored."""
        return bool(self._rows("SELECT count(*) FROM serialized_dag WHERE dag_id = %s", dag_id)[0][0])

    def begun(self) -> int:
        """Counts the DAGs that have a run behind them."""
        return int(self._rows("SELECT count(DISTINCT dag_id) FROM dag_run WHERE state = 'success'")[0][0])

    def parse_seconds(self) -> float | None:
        """Returns how long the DAG processor took to parse the file last."""
        value = self._rows("SELECT max(last_parse_duration) FROM dag")[0][0]
        return None if value is None else float(value)

    def dag_bytes(self) -> float:
        """Returns the mean size of a stored DAG."""
        return float(self._rows("SELECT coalesce(avg(pg_column_size(data)), 0) FROM serialized_dag")[0][0])

    def database_mib(self) -> float:
        """Returns the size of the database."""
        return float(self._rows("SELECT pg_database_size(current_database()) / 1048576.0")[0][0])

    def _rows(self, query: str, *params: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._dsn, autocommit=True) as conn:
            return conn.execute(query.encode(), params).fetchall()


def in_time(runs: Sequence[Run], interval: timedelta) -> int:
    """Counts the runs that succeeded before the next one was due."""
    return sum(run.state == "success" and run.ended is not None and run.ended <= run.due + interval for run in runs)
