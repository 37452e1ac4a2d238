"""The DAG bundle that asks for a parse when a spec changed: by itself, and in a DAG processor that would otherwise parse every ten minutes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from airflow.models import DagModel
from airflow.models.dagbag import DagPriorityParsingRequest
from airflow.utils.session import create_session
from sqlalchemy import delete, select

from devstack.airflow_settings import specs_bundle
from querymirror.dag_bundle import SpecsBundle
from tests.fixtures.fix_deployment import wait_until
from tests.fixtures.fix_stack import CHECKOUT

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("airflow_metadata")]

SPEC = {
    "source": {"conn_id": "movies_db", "query": "SELECT id, updated_at FROM content.film_work", "primary_key": ["id"], "cursor_column": "updated_at"},
    "target": {"type": "postgres", "conn_id": "analytics_db", "table": "analytics.films"},
}
SEEN_WITHIN = 90.0  # seconds, on a machine that is busy


@pytest.fixture
def include(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An include folder with one spec."""
    folder = tmp_path / "include"
    (folder / "jobs").mkdir(parents=True)
    (folder / "settings.yaml").write_text(json.dumps({"allowed_targets": [{"conn_id": "analytics_db", "tables": ["analytics.*"]}]}))
    drop(folder, "bundled_first")
    monkeypatch.setenv("QUERYMIRROR_INCLUDE", str(folder))
    return folder


@pytest.fixture(autouse=True)
def nothing_asked() -> Iterator[None]:
    """No requests before and after a test."""
    forget()
    yield
    forget()


def drop(include: Path, pipeline: str) -> None:
    """Puts a spec file into the include folder."""
    (include / "jobs" / f"{pipeline}.yaml").write_text(json.dumps(SPEC))


def forget() -> None:
    """Removes all requests, as a DAG processor that takes them does."""
    with create_session() as session:
        session.execute(delete(DagPriorityParsingRequest))


def asked() -> list[tuple[str, str]]:
    """Returns the requests that wait for a DAG processor."""
    with create_session() as session:
        return [(one.bundle_name, one.relative_fileloc) for one in session.scalars(select(DagPriorityParsingRequest))]


def test_each_kind_of_change_is_asked_for(include: Path) -> None:
    """A file added, changed or removed, a SQL file too, asks for the DAG file, once however often it is refreshed; a look without a change does not."""
    bundle = SpecsBundle(name="dags-folder")
    bundle.refresh()
    assert asked() == []
    sql = include / "sql" / "films.sql"
    changes: list[Callable[[], object]] = [
        lambda: drop(include, "second"),
        lambda: (include / "jobs" / "second.yaml").write_text("{}"),
        sql.parent.mkdir,
        lambda: sql.write_text("SELECT 1"),
        sql.unlink,
    ]
    for number, change in enumerate(changes):
        change()
        bundle.refresh()
        bundle.refresh()
        assert asked() == ([] if number == 2 else [("dags-folder", "querymirror_dags.py")]), number
        forget()
        bundle.refresh()
        assert asked() == [], number


def test_a_request_that_met_a_parse_is_made_again(include: Path) -> None:
    """Airflow drops a request for a file that it is just parsing, so a second one follows; there is no third."""
    bundle = SpecsBundle(name="dags-folder", dag_file="team/dags.py", asks_again=0.2)
    bundle.refresh()
    drop(include, "second")
    for wanted in ([("dags-folder", "team/dags.py")], [("dags-folder", "team/dags.py")], []):
        bundle.refresh()
        assert asked() == wanted
        forget()
        time.sleep(0.3)


def test_a_dag_processor_sees_a_new_file_at_once(include: Path, tmp_path: Path) -> None:
    """With ten minutes between two parses a spec that is dropped becomes a DAG in seconds."""
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(CHECKOUT / "plugins"), str(CHECKOUT))),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(CHECKOUT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(CHECKOUT / "plugins"),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": specs_bundle(refresh_interval=1, asks_again=5),
        "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(tmp_path / "logs"),
    }
    log = tmp_path / "dag-processor.log"
    with log.open("w") as said:
        process = subprocess.Popen([sys.executable, "-m", "airflow", "dag-processor"], env=environ, cwd=tmp_path, stdout=said, stderr=said)
    try:
        for name in ("bundled_first", "bundled_second"):
            drop(include, name)
            wait_until(partial(is_a_dag, name), f"{name}, see {log}", timeout=SEEN_WITHIN)
    finally:
        process.terminate()
        process.wait(30)


def is_a_dag(dag_id: str) -> bool:
    """Returns whether Airflow's database knows a DAG."""
    with create_session() as session:
        return session.get(DagModel, dag_id) is not None
