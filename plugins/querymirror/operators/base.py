"""What every task of a pipeline does first: read its spec, check the target again, open the cycle, find the state."""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from querymirror.errors import PipelineError, SpecError, TerminalError
from querymirror.facts import Record
from querymirror.operators.connections import source_address, target_address
from querymirror.operators.error_log import write_error
from querymirror.operators.request import run_request
from querymirror.records import RunRequest
from querymirror.spec.loader import default_include, find_spec, load_settings
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.settings import Settings
from querymirror.state.variables import VariableStateStore

if TYPE_CHECKING:
    from airflow.sdk import Context

    from querymirror.connections import Address
    from querymirror.sync.cycle import Cycle

DETECT, ENSURE, EXTRACT, UPSERT, ORPHANS, COMMIT = "detect_changes", "ensure_target", "extract", "upsert", "delete_orphans", "commit"
EXTRACTION_KEY = "extraction"
PIN_KEY = "spec"
ERROR_KEY = "error"
NOT_PINNED = {"description", "schedule", "watch", "verify_schedule", "retries", "retry_delay", "parallelism", "after", "tags", "owner", "paused", "deadline"}

Value = TypeVar("Value", bound=Record)


@dataclass(frozen=True)
class Deployed:
    """A spec as it stands in this process's include folder, with the settings beside it."""

    spec: PipelineSpec
    settings: Settings

    def pin(self) -> str:
        """Returns a hash of all that a run depends on; a run whose tasks see two of them must stop."""
        # no defaults: a triggerer one release behind the workers must not see another spec
        fields = self.spec.model_dump(mode="json", exclude=NOT_PINNED, exclude_defaults=True)
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]


def deployed(pipeline: str) -> Deployed:
    """Reads one spec file and checks that its target may be written.

    Raises:
        SpecError: the file is gone or wrong.
        TerminalError: the target is not allowed.
    """
    include = default_include()
    found = Deployed(find_spec(pipeline, include), load_settings(include))
    if not found.settings.allows(found.spec.target):
        target = found.spec.target
        name = target.table if target.type == "postgres" else target.index
        message = f"{name} of connection {target.conn_id!r} is not an allowed target."
        raise TerminalError(message, where=pipeline, fix="Add it to allowed_targets in include/settings.yaml, or correct the spec.")
    return found


def open_deployed(found: Deployed, *, source: Address, target: Address) -> Cycle:
    """Returns the cycle of a spec, not yet entered."""
    from querymirror.runtime import open_cycle  # noqa: PLC0415 - the dag-processor imports this module for every parse and never opens a cycle

    return open_cycle(found.spec, source=source, target=target, settings=found.settings)


class PipelineOperator(BaseOperator):
    """A task of one pipeline.

    Args:
        pipeline: its id; the spec is read again in the task, from the include folder.
    """

    ui_color = "#e8f0fe"

    def __init__(self, *, pipeline: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pipeline = pipeline

    @contextmanager
    def step(self, context: Context) -> Iterator[Step]:
        """Opens this task's view of the run: spec, request, state store and cycle.

        Raises:
            TerminalError: the spec is not the one that `detect_changes` began this run with.
        """
        with self.told(context):
            found = deployed(self.pipeline)
            request = run_request(context)
            _check_pin(found, _pull(context, DETECT, PIN_KEY))
            with open_deployed(found, source=source_address(found.spec), target=target_address(found.spec)) as cycle:
                yield Step(found, request, cycle, VariableStateStore(), context)

    @contextmanager
    def told(self, context: Context) -> Iterator[None]:
        """Keeps what goes wrong inside beside the run, in words, for the page and the API."""
        try:
            yield
        except PipelineError as err:
            context["ti"].xcom_push(key=ERROR_KEY, value={"what": err.what, "where": err.where, "fix": err.fix, "code": type(err).__name__})
            self._log_error(context, f"{type(err).__name__}: {err}")
            raise
        except AirflowSkipException:
            raise
        except Exception:
            self._log_error(context, traceback.format_exc().rstrip())
            raise

    def _log_error(self, context: Context, text: str) -> None:
        ti = context["ti"]
        try:
            settings = load_settings(default_include())
        except SpecError:
            return  # the error is about these very settings
        write_error(settings, self.pipeline, f"{ti.task_id} run={context['run_id']} try={ti.try_number}", text)


@dataclass(frozen=True)
class Step:
    """One task's view of a run.

    Attributes:
        deployed: the spec and settings.
        request: what the run is asked to do.
        cycle: open for the task's duration.
        store: of the pipeline's state.
        context: Airflow's.
    """

    deployed: Deployed
    request: RunRequest
    cycle: Cycle
    store: VariableStateStore
    context: Mapping[str, Any]

    def pull(self, task_id: str, record: type[Value], key: str = "return_value") -> Value:
        """Returns what an earlier task of this run handed on.

        Raises:
            TerminalError: there is nothing; the earlier task was cleared or marked by hand.
        """
        value = _pull(self.context, task_id, key)
        if value is None:
            message = f"{task_id} left nothing for {self.context['ti'].task_id} in run {self.request.run_id}."
            raise TerminalError(message, where=self.deployed.spec.id, fix=f"Clear {task_id} and what follows it, or trigger a new run.")
        return record.from_json(value)

    def pull_all(self, task_id: str, record: type[Value]) -> list[Value]:
        """Returns what each instance of a mapped task handed on; none where it had no instance."""
        values = self.context["ti"].xcom_pull(task_ids=task_id)
        # Airflow gives one value bare, several as a list, none as a list with None
        found = values if isinstance(values, list) else [values]
        return [record.from_json(decoded(value)) for value in found if value is not None]


def decoded(value: Any) -> Any:
    """Returns an XCom's value; those that a trigger pushed arrive as JSON text."""
    return json.loads(value) if isinstance(value, str) and value[:1] in {"{", "[", '"'} else value


def _pull(context: Mapping[str, Any], task_id: str, key: str) -> Any:
    return decoded(context["ti"].xcom_pull(task_ids=task_id, key=key))


def _check_pin(found: Deployed, pinned: str | None) -> None:
    # None: detect_changes was marked as done by hand; the following pull says so
    if pinned is not None and pinned != found.pin():
        message = "the spec changed under this run; the state did not move."
        raise TerminalError(message, where=found.spec.id, fix="The next run uses the new spec; nothing else to do.")
