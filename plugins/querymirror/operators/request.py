"""What a run is asked to do, read from its params, its conf and its data interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from querymirror.errors import TerminalError
from querymirror.records import Mode, RunRequest, Window

CONF_KEYS = ("mode", "window_low", "window_high", "allow_mass_delete")


def run_request(context: Mapping[str, Any]) -> RunRequest:
    """Returns the request of this DAG run.

    A window in the params (the trigger form, or the run's conf) wins; a backfill run without one reads its data
    interval; any other run has no window and goes on from the state.

    Args:
        context: Airflow's task context, in a worker or in the triggerer.

    Raises:
        TerminalError: the conf has an unknown key or a value that makes no sense.
    """
    dag_run, params = context["dag_run"], context["params"]
    _refuse_unknown(dag_run.conf or {})
    window = Window(low=_text(params, "window_low"), high=_text(params, "window_high"))
    if window == Window() and _name(dag_run.run_type) == "backfill":
        window = Window(low=dag_run.data_interval_start.isoformat(), high=dag_run.data_interval_end.isoformat())
    mode = params.get("mode") or "incremental"
    if mode not in get_args(Mode):
        message = f"mode {mode!r} is not known (known: {', '.join(get_args(Mode))})."
        raise TerminalError(message, where="conf", fix="Trigger the run again with one of these.")
    return RunRequest(
        run_id=context["run_id"],
        mode=mode,
        window=None if window == Window() else window,
        allow_mass_delete=bool(params.get("allow_mass_delete")),
    )


def _refuse_unknown(conf: Mapping[str, Any]) -> None:
    unknown = sorted(set(conf) - set(CONF_KEYS))
    if unknown:
        # a mistyped window would otherwise turn into an ordinary run without a word
        message = f"{', '.join(unknown)} means nothing here (known: {', '.join(CONF_KEYS)})."
        raise TerminalError(message, where="conf", fix="Trigger the run again with the known keys.")


def _text(params: Mapping[str, Any], name: str) -> str | None:
    value = params.get(name)
    return None if value is None or value == "" else str(value)


def _name(run_type: object) -> str:
    # an enum in the triggerer, a plain string in a worker
    return str(getattr(run_type, "value", run_type))
