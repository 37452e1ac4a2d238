"""Tells people when a run failed or is late, through the notifiers that settings.yaml names."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

from querymirror.errors import TerminalError
from querymirror.operators.error_log import write_error
from querymirror.spec.loader import default_include, load_settings
from querymirror.spec.settings import Notifier, Settings

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)
MISSED_DEADLINE = f"{__name__}.missed_deadline"


class FailureNotifier(BaseNotifier):
    """Calls every notifier of `on_failure` when a run has failed; the settings are read then, so that a parse imports none of them.

    Args:
        pipeline: its id.
    """

    def __init__(self, pipeline: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pipeline = pipeline

    def notify(self, context: Context) -> None:
        """Calls them one after the other; one that fails is told in the log and doesn't keep the others back."""
        notify_all(load_settings(default_include()), context)


async def missed_deadline(*, pipeline: str, seconds: float, context: Mapping[str, Any]) -> str:
    """Tells that a run was not done in time; runs in the triggerer.

    Args:
        pipeline: its id.
        seconds: its `deadline`.
        context: Airflow's short one: `dag_run` as JSON, and `deadline`.

    Returns:
        What was told.
    """
    run = context.get("dag_run", {}).get("dag_run_id", "unknown")
    reason = f"{pipeline} is behind: run {run} was not done {seconds:g} s after it was queued."
    log.warning(reason)
    settings = await asyncio.to_thread(load_settings, default_include())
    await asyncio.to_thread(write_error, settings, pipeline, f"deadline run={run}", reason)
    told: Any = {**context, "reason": reason}
    await asyncio.to_thread(notify_all, settings, told)
    return reason


def notify_all(settings: Settings, context: Context) -> None:
    """Calls the notifiers of `on_failure`."""
    for name, notifier in settings.on_failure.items():
        try:
            resolved(name, notifier)(context)
        except Exception:
            log.exception("on_failure.%s (%s) could not tell anybody", name, notifier.path)


def resolved(name: str, notifier: Notifier) -> BaseNotifier:
    """Returns an instance of a notifier.

    Raises:
        TerminalError: there is no such class, it is no notifier, or it doesn't take these arguments.
    """
    module, _, attribute = notifier.path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
        made = found(**notifier.kwargs)
    except (ImportError, AttributeError, TypeError, ValueError) as err:
        message = f"on_failure.{name}: {notifier.path} can't be made: {err}."
        raise TerminalError(
            message, where="settings.yaml", fix="Correct path and kwargs, and install the provider it comes from in every Airflow process."
        ) from err
    if not isinstance(made, BaseNotifier):
        message = f"on_failure.{name}: {notifier.path} is no notifier (a subclass of airflow.sdk.BaseNotifier)."
        raise TerminalError(message, where="settings.yaml", fix="Name another class.")
    return made
