"""Failed and late runs are told: by notifiers that settings name, in a file a pipeline, and to OpenLineage what was read and written."""

from __future__ import annotations

import asyncio
import multiprocessing
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.sdk import DAG, BaseNotifier
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference
from airflow.sdk.exceptions import AirflowSkipException
from airflow.serialization.serialized_objects import DagSerialization

from querymirror.connections import Address
from querymirror.dag_factory import build_dags
from querymirror.errors import SpecError, TerminalError
from querymirror.operators import alerts, error_log
from querymirror.operators.lineage import lineage_of, wanted
from querymirror.operators.upsert import UpsertOperator
from querymirror.records import CycleSummary
from querymirror.spec.loader import load_settings, load_spec

pytestmark = pytest.mark.integration

SPEC: dict[str, Any] = {
    "source": {"conn_id": "movies_db", "query": "SELECT id FROM content.film_work", "primary_key": ["id"]},
    "target": {"type": "postgres", "conn_id": "analytics_db", "table": "analytics.films"},
}
ALLOWED = {"allowed_targets": [{"conn_id": "analytics_db", "tables": ["analytics.*"]}]}
RUN = {"dag_run_id": "scheduled__2026", "dag_id": "films"}


class Written(BaseNotifier):
    """Writes what it tells into a file."""

    template_fields = ("text",)

    def __init__(self, *, file: str, text: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.file, self.text = file, text

    def notify(self, context: Any) -> None:  # noqa: ARG002 - Airflow passes it
        """Adds a line."""
        with Path(self.file).open("a", encoding="utf-8") as file:
            file.write(f"{self.text}\n")


class Broken(BaseNotifier):
    """Can't tell anybody."""

    def notify(self, context: Any) -> None:  # noqa: ARG002 - Airflow passes it
        """Fails."""
        raise ConnectionError("no mail server")


class Task:
    """What `told` needs of a task instance."""

    task_id, try_number = "upsert", 2

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        """Keeps what is handed on."""
        self.pushed[key] = value


@pytest.fixture
def include(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An include folder with one spec."""
    folder = tmp_path / "include"
    (folder / "jobs").mkdir(parents=True)
    monkeypatch.setenv("QUERYMIRROR_INCLUDE", str(folder))
    put(folder)
    return folder


def put(include: Path, settings: dict[str, Any] | None = None, **fields: Any) -> None:
    """Writes settings and the spec of `films`."""
    (include / "settings.yaml").write_text(yaml.safe_dump({**ALLOWED, **(settings or {})}), encoding="utf-8")
    (include / "jobs" / "films.yaml").write_text(yaml.safe_dump({**SPEC, **fields}), encoding="utf-8")


def dag_of(include: Path) -> DAG:
    """Returns the DAG of `films`."""
    (dag,) = build_dags(include)
    assert dag.dag_id == "films"
    return dag


def notifier(file: Path, text: str = "{{ dag_run['dag_id'] }}: {{ reason }}") -> dict[str, Any]:
    """Returns the settings of a notifier that writes into a file."""
    return {"path": f"{__name__}.Written", "kwargs": {"file": str(file), "text": text}}


def test_nothing_is_told_unless_asked(include: Path) -> None:
    """Without settings a DAG has no deadline and no callback."""
    dag = dag_of(include)
    assert not dag.deadline
    assert not dag.on_failure_callback


def test_a_deadline_is_airflow_s_own(include: Path) -> None:
    """`deadline`, of the spec or the settings' defaults, is a deadline alert of that many seconds from when a run is queued; it can be serialized."""
    put(include, {"defaults": {"deadline": 900}})
    dag = dag_of(include)
    (alert,) = dag.deadline if isinstance(dag.deadline, list) else [dag.deadline]
    assert isinstance(alert, DeadlineAlert)
    assert (alert.reference, alert.interval.total_seconds()) == (DeadlineReference.DAGRUN_QUEUED_AT, 900)  # type: ignore[union-attr]
    assert (alert.callback.path, alert.callback.kwargs) == ("querymirror.operators.alerts.missed_deadline", {"pipeline": "films", "seconds": 900})
    assert DagSerialization.to_dict(dag)["dag"]["deadline"]


def test_a_missed_deadline_is_told(include: Path, tmp_path: Path) -> None:
    """The callback tells every notifier and the pipeline's file which run is late, by how much."""
    put(include, {"on_failure": {"file": notifier(tmp_path / "told")}, "error_log_dir": "logs"})
    reason = asyncio.run(alerts.missed_deadline(pipeline="films", seconds=900, context={"dag_run": RUN}))
    assert reason == "films is behind: run scheduled__2026 was not done 900 s after it was queued."
    assert (tmp_path / "told").read_text(encoding="utf-8") == f"films: {reason}\n"
    assert (tmp_path / "logs" / "films.log").read_text(encoding="utf-8").endswith(f" films deadline run=scheduled__2026: {reason}\n")


def test_a_failed_run_is_told_to_all(include: Path, tmp_path: Path) -> None:
    """The DAG's callback calls each notifier, rendered; one that fails does not keep the others from being called."""
    put(include, {"on_failure": {"broken": {"path": f"{__name__}.Broken"}, "gone": {"path": "no.such.Class"}, "file": notifier(tmp_path / "told")}})
    callback = dag_of(include).on_failure_callback
    assert isinstance(callback, alerts.FailureNotifier)
    callback({"dag_run": RUN, "reason": "task_failure"})
    assert (tmp_path / "told").read_text(encoding="utf-8") == "films: task_failure\n"


@pytest.mark.parametrize(
    ("path", "kwargs", "said"),
    [
        pytest.param("no.such.Class", {}, "on_failure.x: no.such.Class can't be made: No module named 'no'", id="module"),
        pytest.param(f"{__name__}.Nobody", {}, f"{__name__}.Nobody can't be made: module '{__name__}' has no attribute 'Nobody'", id="class"),
        pytest.param(f"{__name__}.Written", {}, "missing 2 required keyword-only arguments: 'file' and 'text'", id="arguments"),
        pytest.param("pathlib.Path", {}, "on_failure.x: pathlib.Path is no notifier (a subclass of airflow.sdk.BaseNotifier).", id="no notifier"),
    ],
)
def test_a_notifier_that_can_t_be_made_is_told(include: Path, path: str, kwargs: dict[str, Any], said: str) -> None:
    """What is wrong with a notifier is said with its name in the settings."""
    put(include, {"on_failure": {"x": {"path": path, "kwargs": kwargs}}})
    with pytest.raises(TerminalError) as caught:
        alerts.resolved("x", load_settings(include).on_failure["x"])
    assert said in str(caught.value)


@pytest.mark.parametrize("wrong", [{"on_failure": {"mail": {"path": "Smtp Notifier"}}}, {"on_failure": ["mail"]}, {"error_log_dir": ""}], ids=str)
def test_wrong_settings_are_refused(include: Path, wrong: dict[str, Any]) -> None:
    """A path that names no class, a list of notifiers and an empty folder are problems of settings.yaml."""
    put(include, wrong)
    with pytest.raises(SpecError, match=rf"include/settings.yaml:\d+ {next(iter(wrong))}"):
        load_settings(include)


def test_errors_go_to_the_pipeline_s_file(include: Path, tmp_path: Path) -> None:
    """An error of ours is written in its words, any other with its traceback, a skip not at all; each with time, task, run and try."""
    put(include, {"error_log_dir": str(tmp_path / "errors")})
    operator, task = UpsertOperator(task_id="upsert", pipeline="films", batch={}), Task()
    context: Any = {"ti": task, "run_id": "manual__1"}
    for error in (TerminalError("the target is full.", fix="Make room."), ZeroDivisionError("unexpected"), AirflowSkipException("nothing moved")):
        with pytest.raises(type(error)), operator.told(context):
            raise error
    text = (tmp_path / "errors" / "films.log").read_text(encoding="utf-8")
    first, second, *rest = text.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\+00:00 films upsert run=manual__1 try=2: TerminalError: the target is full. Make room.", first)
    assert second.endswith("films upsert run=manual__1 try=2: Traceback (most recent call last):")
    assert rest[-1] == "ZeroDivisionError: unexpected"
    assert "nothing moved" not in text
    assert task.pushed["error"]["what"] == "the target is full."


def test_a_folder_that_can_t_be_written_hides_no_error(include: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the file can't be written the error itself is raised as ever, and the task's log says why there is no file."""
    (tmp_path / "taken").write_text("", encoding="utf-8")
    put(include, {"error_log_dir": "taken"})
    with pytest.raises(TerminalError, match="full"), UpsertOperator(task_id="upsert", pipeline="films", batch={}).told({"ti": Task(), "run_id": "r"}):  # type: ignore[typeddict-item]
        raise TerminalError("the target is full.")
    assert "error_log_dir taken can't be written" in caplog.text


def _write(folder: Path, writer: int, entries: int) -> None:
    for number in range(entries):
        error_log.append(folder, "films", f"entry {writer}/{number} {'x' * 500} end")


def test_processes_write_at_once(tmp_path: Path) -> None:
    """Entries of processes that write at the same time stay whole while files rotate, and the files together stay bounded."""
    writers, entries = 4, 1000
    started = [multiprocessing.get_context("spawn").Process(target=_write, args=(tmp_path, writer, entries)) for writer in range(writers)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    files = sorted(tmp_path.glob("films.log*"))
    assert [file.name for file in files] == ["films.log", "films.log.1", "films.log.2"]
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    assert all(re.fullmatch(r"entry \d/\d+ x{500} end", line) for line in lines)
    assert {line.split()[1] for line in lines} == {f"{writer}/{number}" for writer in range(writers) for number in range(entries)}
    assert max(file.stat().st_size for file in files) <= error_log.MAX_BYTES


def test_the_oldest_file_goes(tmp_path: Path) -> None:
    """No more than the newest four files are kept beside the one that is written."""
    for number in range(12):
        error_log.append(tmp_path, "films", f"{number} {'x' * 600_000}")
    files = sorted(file.name for file in tmp_path.glob("films.log*"))
    assert files == ["films.log", *(f"films.log.{n}" for n in range(1, error_log.KEPT + 1))]
    assert (tmp_path / "films.log").read_text(encoding="utf-8").startswith("11 ")


def test_lineage_names_tables_and_target(include: Path) -> None:
    """A run's lineage is its source tables and its target, as servers and names, with the query and the rows written."""
    spec = load_spec(include / "jobs" / "films.yaml", include)
    source = Address("movies_db", "postgres", "db", None, schema="movies", password="secret")
    found = lineage_of(spec, source, Address("analytics_db", "postgres", "dwh", 6432, schema="analytics"), ["content.film_work"], _summary(7))
    assert found.inputs == (("postgres://db:5432", "movies.content.film_work"),)
    assert found.output == ("postgres://dwh:6432", "analytics.analytics.films")
    assert (found.query, found.rows) == ("SELECT id FROM content.film_work", 7)
    assert "secret" not in repr(found)


@pytest.mark.skipif(not wanted(), reason="needs the provider: pip install apache-airflow-providers-openlineage")
def test_lineage_in_the_provider_s_form(include: Path) -> None:
    """The provider gets datasets, the query and the number of rows."""
    spec = load_spec(include / "jobs" / "films.yaml", include)
    address = Address("x", "postgres", "db", 5432, schema="movies")
    told = lineage_of(spec, address, address, ["content.film_work"], _summary(7)).as_operator_lineage()
    assert [(d.namespace, d.name) for d in (*told.inputs, *told.outputs)] == [
        ("postgres://db:5432", "movies.content.film_work"),
        ("postgres://db:5432", "movies.analytics.films"),
    ]
    assert told.outputs[0].outputFacets["outputStatistics"].rowCount == 7
    assert told.job_facets["sql"].query == "SELECT id FROM content.film_work"


def _summary(upserted: int) -> CycleSummary:
    return CycleSummary(pipeline="films", run_id="r", upserted=upserted)
