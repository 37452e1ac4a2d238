"""What a run is asked to do, from its params, conf and data interval."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from querymirror.errors import TerminalError
from querymirror.operators.request import run_request
from querymirror.records import Window

pytestmark = pytest.mark.integration

LOW, HIGH = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def context(run_type: str = "manual", conf: dict[str, Any] | None = None) -> dict[str, Any]:
    """Returns the part of Airflow's context that a request is read from."""
    dag_run = SimpleNamespace(run_type=run_type, conf=conf, data_interval_start=LOW, data_interval_end=HIGH)
    defaults = {"mode": "incremental", "window_low": None, "window_high": None, "allow_mass_delete": False}
    return {"run_id": "r1", "dag_run": dag_run, "params": {**defaults, **(conf or {})}}


@pytest.mark.parametrize(
    ("run_type", "conf", "window"),
    [
        pytest.param("scheduled", None, None, id="a scheduled run goes on from the state"),
        pytest.param("manual", {}, None, id="so does a run by hand"),
        pytest.param("asset_triggered", None, None, id="and one that follows another pipeline"),
        pytest.param("backfill", None, Window(low=LOW.isoformat(), high=HIGH.isoformat()), id="a backfill reads its interval"),
        pytest.param("manual", {"window_low": "5", "window_high": "9"}, Window(low="5", high="9"), id="a window is taken as it is"),
        pytest.param("backfill", {"window_low": "5"}, Window(low="5"), id="a window in the conf wins over the interval"),
        pytest.param("manual", {"window_low": "", "window_high": ""}, None, id="empty fields of the form are no window"),
    ],
)
def test_window(run_type: str, conf: dict[str, Any] | None, window: Window | None) -> None:
    """The conf's window wins over a backfill's interval, which wins over the state."""
    assert run_request(context(run_type, conf)).window == window


def test_mode_and_leave_to_delete() -> None:
    """Mode and the leave to mass-delete come from the params."""
    request = run_request(context(conf={"mode": "verify", "allow_mass_delete": True}))
    assert (request.mode, request.allow_mass_delete, request.run_id) == ("verify", True, "r1")


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        (
            {"from": "5", "to": "6"},
            "conf: from, to means nothing here (known: mode, window_low, window_high, allow_mass_delete). Trigger the run again with the known keys.",
        ),
        (
            {"mode": "fast"},
            "conf: mode 'fast' is not known (known: incremental, full_refresh, verify). Trigger the run again with one of these.",
        ),
    ],
    ids=["key", "mode"],
)
def test_what_makes_no_sense_is_refused(conf: dict[str, Any], message: str) -> None:
    """An unknown key or mode is an error that lists the known ones."""
    with pytest.raises(TerminalError) as found:
        run_request(context(conf=conf))
    assert str(found.value) == message
