"""How the control plane says in words how a pipeline is, and that a read-only deployment keeps its specs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from querymirror.api.datamodels import DayRows
from querymirror.api.services.history import Dag, History, Run
from querymirror.api.services.rows import good_row
from querymirror.api.services.specs import SpecFolder
from querymirror.errors import RequestError
from querymirror.records import CycleSummary
from querymirror.spec.pipeline import PipelineSpec

NOW = datetime.now(UTC)
SPEC = PipelineSpec.model_validate(
    {
        "id": "p",
        "source": {"conn_id": "s", "query": {"text": "SELECT 1 AS id"}, "primary_key": ["id"]},
        "target": {"type": "postgres", "conn_id": "t", "table": "a.b"},
    }
)


def ran(state: str = "success", **more: Any) -> Run:
    """Returns a run of a minute ago."""
    given = {"key": 1, "run_id": "r", "kind": "scheduled", "conf": {}, "queued_at": NOW, "started_at": NOW, "ended_at": NOW, **more}
    return Run(state=state, **given)


@pytest.mark.parametrize(
    ("paused", "runs", "fresh_minutes", "state", "level", "words"),
    [
        pytest.param(False, [ran()], 4, "idle", "good", "Up to date.", id="idle"),
        pytest.param(False, [ran()], 12, "behind", "bad", "Behind: no cycle has finished for more than two intervals.", id="behind"),
        pytest.param(False, [ran("running")], 4, "running", "busy", "Filling the target.", id="running"),
        pytest.param(False, [ran("queued"), ran()], 4, "requested", "busy", "Working.", id="requested"),
        pytest.param(True, [ran()], 60, "paused", "off", "Paused; changes wait.", id="paused"),
        pytest.param(False, [], None, "never run", "warn", "Never run: the target has not been filled.", id="never run"),
        pytest.param(
            False,
            [ran(summary=CycleSummary(pipeline="p", run_id="r", rejected=3))],
            4,
            "idle",
            "warn",
            "The target refused 3 row(s) in the last cycle; they are kept aside.",
            id="rejects",
        ),
    ],
)
def test_states_in_words(paused: bool, runs: list[Run], fresh_minutes: int | None, state: str, level: str, words: str) -> None:  # noqa: PLR0917 - a row of the table
    """Each state of the field has one word, one level and one sentence."""
    fresh = {} if fresh_minutes is None else {"p": NOW - timedelta(minutes=fresh_minutes)}
    found = History(dags={"p": Dag(paused=paused, next_run=NOW, interval=300)}, runs={"p": runs}, fresh=fresh)
    row = good_row(SPEC, found, DayRows(), None)
    assert (row.state, row.health.level, row.health.text) == (state, level, words)


def test_read_only_deployment(tmp_path: Path) -> None:
    """`specs_read_only` refuses to create, replace and remove, whatever the folder allows, and leaves every file as it is."""
    include = tmp_path / "include"
    shutil.copytree(Path(__file__).parents[2] / "include", include)
    folder = SpecFolder(include, read_only=True)
    before = {path.name: path.read_text(encoding="utf-8") for path in (include / "jobs").iterdir()}
    other = before["film_dim.yaml"].replace("analytics.film_dim", "analytics.other")
    writes: list[Callable[[], None]] = [
        lambda: folder.create("new", other),
        lambda: folder.replace("film_dim", other, expected=None),
        lambda: folder.remove("film_dim", expected=None),
    ]
    for write in writes:
        with pytest.raises(RequestError, match="the folder of the specs is read-only here"):
            write()
    assert {path.name: path.read_text(encoding="utf-8") for path in (include / "jobs").iterdir()} == before
