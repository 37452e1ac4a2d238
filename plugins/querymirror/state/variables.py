"""States in Airflow Variables: one a pipeline, named `querymirror:<pipeline>`, readable JSON."""

from __future__ import annotations

import json
import sys
from typing import Protocol

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.execution_time.secrets.execution_api import ExecutionAPISecretsBackend
from pydantic import ValidationError

from querymirror.errors import TerminalError, TransientError
from querymirror.state.base import PipelineState, state_key

TRY_AGAIN = "Nothing was read or written; the task is tried again."


class VariableTexts(Protocol):
    """Reads and writes Variables as text; differs by the process it is used in."""

    def read(self, key: str) -> str | None:
        """Returns the Variable's value, None where there is none."""
        ...

    def write(self, key: str, text: str, description: str) -> None:
        """Replaces the value; atomic."""
        ...

    def delete(self, key: str) -> None:
        """Removes the Variable; nothing where there is none."""
        ...

    def names(self, prefix: str) -> frozenset[str]:
        """Returns the names of all Variables that begin so."""
        ...


class ExecutionApiVariables:
    """Variables as tasks and triggers reach them: through the api-server, never the database."""

    def read(self, key: str) -> str | None:
        """Returns the value; a server that can't be asked is an error, not an absent state.

        Raises:
            TransientError: the Variable is there, or may be, and could not be read.
        """
        # not Variable.get: it asks the supervisor a second time, to mask what is no secret; the triggerer answers ten questions a second
        text = ExecutionAPISecretsBackend().get_variable(key)
        if text is not None:
            return text
        # it answers None for any failed request; a state taken for absent would fill the target anew
        if key in self.names(key):
            message = f"the Variable {key!r} exists and could not be read."
            raise TransientError(message, fix=TRY_AGAIN)
        return None

    def names(self, prefix: str) -> frozenset[str]:
        """Returns the names of all Variables that begin so.

        Raises:
            TransientError: Airflow could not be asked.
        """
        try:
            return frozenset(Variable.keys(prefix=prefix))
        except AirflowRuntimeError as err:
            message = f"Airflow could not say which Variables begin with {prefix!r} ({err})."
            raise TransientError(message, fix=TRY_AGAIN) from err

    def write(self, key: str, text: str, description: str) -> None:
        """Replaces the value; one row, so the write is atomic."""
        Variable.set(key, text, description=description)

    def delete(self, key: str) -> None:
        """Removes the Variable; nothing where there is none."""
        Variable.delete(key)


class VariableStateStore:
    """Keeps states in Airflow Variables; works in tasks, in the triggerer, and in a process beside Airflow.

    Args:
        texts: how Variables are reached; found out from the process when left out.
    """

    def __init__(self, texts: VariableTexts | None = None) -> None:
        self._texts = texts or variables_of_this_process()

    def read(self, pipeline_id: str) -> PipelineState | None:
        """Returns the committed state, None where there is none.

        Raises:
            TerminalError: the Variable holds something else than a state.
        """
        key = state_key(pipeline_id)
        text = self._texts.read(key)
        if text is None:
            return None
        try:
            return PipelineState.model_validate_json(text)
        except ValidationError as err:
            problem = err.errors(include_url=False, include_input=False)[0]
            message = f"the Variable {key!r} does not hold a state ({problem['msg']})."
            raise TerminalError(message, where=pipeline_id, fix="Put back what it held, or delete it to fill the target anew.") from err

    def write(self, pipeline_id: str, state: PipelineState) -> None:
        """Replaces the state; atomic."""
        text = json.dumps(state.to_json(), indent=1)
        self._texts.write(state_key(pipeline_id), text, f"What querymirror committed last for {pipeline_id}. Delete it to start over.")

    def delete(self, pipeline_id: str) -> None:
        """Forgets the state; the next run starts over."""
        self._texts.delete(state_key(pipeline_id))


def variables_of_this_process() -> VariableTexts:
    """Returns the way to Variables that this process may use: the api-server under a supervisor, else the database."""
    # the same question that airflow.models.Variable asks
    if hasattr(sys.modules.get("airflow.sdk.execution_time.task_runner"), "SUPERVISOR_COMMS"):
        return ExecutionApiVariables()
    from querymirror.state.metadata_variables import MetadataVariables  # noqa: PLC0415 - tasks have no use for the database layer

    return MetadataVariables()
