"""A small client of Airflow's REST API: wait for DAGs, switch them on, run them, read what they counted."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import quote

import httpx

from querymirror.records import CycleSummary

LOG_LINES = 12  # of a failed task, where no exception tells why
UNFINISHED = {"queued", "running"}


class AirflowApiError(Exception):
    """Airflow answered something else than asked for, or not in time."""


@dataclass(frozen=True)
class DagRun:
    """One run of a DAG: its id, its state (`queued`, `running`, `success`, `failed`) and when it was made."""

    dag_id: str
    run_id: str
    state: str
    queued_at: datetime


class AirflowApi:
    """Airflow's REST API for one user.

    Args:
        url: of the api-server, without a path.
        user: of the simple auth manager.
        password: of that user.
    """

    def __init__(self, url: str, *, user: str, password: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=60)
        self._login = {"username": user, "password": password}

    def __enter__(self) -> Self:
        token = self._http.post("/auth/token", json=self._login)
        self._http.headers["Authorization"] = f"Bearer {self._read(token)['access_token']}"
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def wait_for_dags(self, dag_ids: Iterable[str], *, timeout: float = 120) -> None:
        """Returns once every DAG can be run; `timeout` in seconds.

        A DAG is listed a moment before it is stored whole; one whose file was removed stays listed as stale, and comes back under its name.

        Raises:
            AirflowApiError: some are still missing, with their names and the import errors of the DAG folder.
        """
        missing, end = set(dag_ids), time.monotonic() + timeout
        while missing:
            missing = {dag_id for dag_id in missing if not self._can_run(dag_id)}
            if missing and time.monotonic() > end:
                errors = [error["stack_trace"] for error in self._get("/api/v2/importErrors")["import_errors"]]
                message = f"no DAG {', '.join(sorted(missing))} after {timeout:.0f} s. {' '.join(errors)}".rstrip()
                raise AirflowApiError(message)
            if missing:
                time.sleep(0.5)

    def _can_run(self, dag_id: str) -> bool:
        answer = self._http.get(_path("dags", dag_id, "details"))
        return answer.status_code != httpx.codes.NOT_FOUND and not self._read(answer)["is_stale"]

    def set_paused(self, dag_id: str, *, paused: bool) -> None:
        """Switches a DAG off or on."""
        self._read(self._http.patch(_path("dags", dag_id), json={"is_paused": paused}))

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Starts a run by hand and returns its id."""
        body = {"logical_date": None, "conf": conf or {}}
        return str(self._read(self._http.post(_path("dags", dag_id, "dagRuns"), json=body))["dag_run_id"])

    def runs(self, dag_id: str) -> list[DagRun]:
        """Returns the latest 100 runs of a DAG, newest first."""
        found = self._get(_path("dags", dag_id, "dagRuns"), limit="100", order_by="-run_after")["dag_runs"]
        return [DagRun(dag_id, run["dag_run_id"], run["state"], datetime.fromisoformat(run["queued_at"] or run["run_after"]).astimezone(UTC)) for run in found]

    def summary(self, run: DagRun) -> CycleSummary | None:
        """Returns what a run's `commit` task published; None for a quiet run, which has none."""
        path = _path("dags", run.dag_id, "dagRuns", run.run_id, "taskInstances", "commit", "xcomEntries", "return_value")
        answer = self._http.get(path)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        value = self._read(answer)["value"]
        return CycleSummary.from_json(json.loads(value) if isinstance(value, str) else value)

    def failure(self, run: DagRun) -> str:
        """Returns the exceptions of a failed run's tasks, or the last lines they logged; empty where no task failed."""
        tasks = self._get(_path("dags", run.dag_id, "dagRuns", run.run_id, "taskInstances"))["task_instances"]
        return "\n".join(self._task_log(run, task) for task in tasks if task["state"] == "failed")

    def _task_log(self, run: DagRun, task: dict[str, Any]) -> str:
        path = _path("dags", run.dag_id, "dagRuns", run.run_id, "taskInstances", task["task_id"], "logs", str(task["try_number"]))
        content = self._get(path, map_index=str(task["map_index"]))["content"]
        told = [entry for entry in content if isinstance(entry, dict) and entry.get("error_detail")]
        lines = [_log_line(entry) for entry in (told or content)[-LOG_LINES:]]
        return "\n".join([f"{run.dag_id}.{task['task_id']}:", *(f"  {line}" for line in lines)])

    def _get(self, path: str, **params: str) -> dict[str, Any]:
        return self._read(self._http.get(path, params=params))

    @staticmethod
    def _read(answer: httpx.Response) -> dict[str, Any]:
        if answer.is_error:
            message = f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:500]}"
            raise AirflowApiError(message)
        return dict(answer.json())


def _path(*parts: str) -> str:
    return "/api/v2/" + "/".join(quote(part, safe="") for part in parts)


def _log_line(entry: dict[str, Any] | str) -> str:
    if isinstance(entry, str):
        return entry
    errors = [f"{error.get('exc_type')}: {error.get('exc_value')}" for error in entry.get("error_detail") or []]
    return " ".join([str(entry.get("event", "")), *errors])
