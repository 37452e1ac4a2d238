"""Stores without Airflow: in memory, and one JSON file a deployment."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from querymirror.errors import TerminalError
from querymirror.state.base import PipelineState, state_key


class MemoryStateStore:
    """Keeps states in this process, as the JSON text a real store would hold."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def read(self, pipeline_id: str) -> PipelineState | None:
        """Returns the committed state, None where there is none."""
        text = self._texts.get(state_key(pipeline_id))
        return None if text is None else PipelineState.model_validate_json(text)

    def write(self, pipeline_id: str, state: PipelineState) -> None:
        """Replaces the state."""
        self._texts[state_key(pipeline_id)] = state.model_dump_json()

    def delete(self, pipeline_id: str) -> None:
        """Forgets the state."""
        self._texts.pop(state_key(pipeline_id), None)


class FileStateStore:
    """Keeps all states in one JSON file (`--state FILE`); a write renames a finished file into place."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, pipeline_id: str) -> PipelineState | None:
        """Returns the committed state, None where there is none."""
        data = self._load().get(state_key(pipeline_id))
        return None if data is None else PipelineState.model_validate(data)

    def write(self, pipeline_id: str, state: PipelineState) -> None:
        """Replaces the state."""
        self._save(self._load() | {state_key(pipeline_id): state.to_json()})

    def delete(self, pipeline_id: str) -> None:
        """Forgets the state."""
        self._save({key: value for key, value in self._load().items() if key != state_key(pipeline_id)})

    def _load(self) -> dict[str, object]:
        if not self._path.exists():
            return {}
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as err:
            message = f"{self._path} is not JSON ({err})."
            raise TerminalError(message, fix="Remove the file to start over, or name another with --state.") from err
        return dict(data)

    def _save(self, data: dict[str, object]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self._path.parent, delete=False, encoding="utf-8") as file:
            json.dump(data, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(self._path)
