"""The include folder as the api-server sees it: read again when a file moved, written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from querymirror.api.security import ID_PATTERN
from querymirror.errors import RequestError, SpecError, SpecTextError
from querymirror.spec.loader import Loaded, load_all, load_settings, load_spec
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.settings import Settings
from querymirror.spec.stamps import Stamps, stamps
from querymirror.spec.together import check_together
from querymirror.spec.yaml_lines import read_yaml

_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


@dataclass(frozen=True)
class SpecText:
    """A spec file: its name as people know it, what it says, and a hash of that."""

    file: str
    text: str

    @property
    def etag(self) -> str:
        """Moves with every change of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


class SpecFolder:
    """The specs of one include folder.

    Args:
        include: holds jobs, sql, indices, transforms and settings.yaml.
        read_only: refuse every write, whatever the folder's own permissions are.
    """

    def __init__(self, include: Path, *, read_only: bool = False) -> None:
        self._include, self._forbidden = include, read_only
        self._lock = threading.Lock()
        self._seen: Stamps | None = None
        self._loaded = Loaded()

    @property
    def read_only(self) -> bool:
        """Whether specs can't be written here."""
        return self._forbidden or not os.access(self._include / "jobs", os.W_OK)

    def loaded(self) -> Loaded:
        """Returns all specs; files are read again only if one of them moved."""
        with self._lock:
            seen = stamps(self._include)
            if seen != self._seen:
                self._loaded, self._seen = load_all(self._include), seen
            return self._loaded

    def ids(self) -> set[str]:
        """Returns the ids of all pipelines, broken ones included."""
        loaded = self.loaded()
        return {*loaded.specs, *(name for name in loaded.broken if re.match(ID_PATTERN, name))}

    def settings(self) -> Settings:
        """Returns what the deployment shares."""
        return load_settings(self._include)

    def spec(self, pipeline: str) -> PipelineSpec:
        """Returns a pipeline's spec.

        Raises:
            SpecError: it is broken.
            RequestError: 404.
        """
        loaded = self.loaded()
        if pipeline in loaded.specs:
            return loaded.specs[pipeline]
        if pipeline in loaded.broken:
            raise loaded.broken[pipeline]
        raise missing(pipeline)

    def text(self, pipeline: str) -> SpecText:
        """Returns a pipeline's file.

        Raises:
            RequestError: 404.
        """
        path = self._path(pipeline)
        if path is None:
            raise missing(pipeline)
        return SpecText(f"{self._include.name}/jobs/{path.name}", path.read_text(encoding="utf-8", errors="replace"))

    def check(self, pipeline: str, text: str) -> PipelineSpec:
        """Reads a text as the spec of a pipeline, beside all others; writes nothing.

        Raises:
            SpecError: with every problem.
        """
        name = f"{pipeline}.yaml"
        shown = f"{self._include.name}/jobs/{name}"
        with tempfile.TemporaryDirectory(prefix="querymirror-") as folder:
            path = Path(folder) / name
            path.write_text(text, encoding="utf-8")
            try:
                spec = load_spec(path, self._include)
                self._check_beside_others(spec, path)
            except SpecError as err:
                raise SpecError([replace(p, file=shown if p.file == str(path) else p.file) for p in err.problems]) from err
            return spec

    def create(self, pipeline: str, text: str) -> None:
        """Writes a new spec file.

        Raises:
            RequestError: 409, there is one, or the folder is read-only.
            SpecError: the spec is wrong.
        """
        self.check(pipeline, text)
        with self._written(text) as finished:
            if self._path(pipeline) is not None:
                raise _taken(pipeline)
            try:
                # a link fails where the name is taken, also by somebody who was a moment faster
                os.link(finished, self._include / "jobs" / f"{pipeline}.yaml")
            except FileExistsError as err:
                raise _taken(pipeline) from err

    def replace(self, pipeline: str, text: str, *, expected: str | None) -> None:
        """Replaces a spec file.

        Args:
            pipeline: its id.
            text: the new spec.
            expected: the etag of the text that was changed; None = whatever is there.

        Raises:
            RequestError: 404; 409, the folder is read-only; 412, somebody else changed the file meanwhile.
            SpecError: the spec is wrong.
        """
        self._require_unchanged(pipeline, expected)
        self.check(pipeline, text)
        path = self._path(pipeline)
        if path is None:
            raise missing(pipeline)
        with self._written(text) as finished:
            finished.replace(path)

    def remove(self, pipeline: str, *, expected: str | None) -> None:
        """Removes a spec file; the target stays as it is. Arguments and errors as for `replace`."""
        self._require_unchanged(pipeline, expected)
        self._require_writable()
        path = self._path(pipeline)
        if path is not None:
            with _write_errors():
                path.unlink(missing_ok=True)

    def _require_unchanged(self, pipeline: str, expected: str | None) -> None:
        found = self.text(pipeline)
        if expected is not None and expected.strip('"') != found.etag:
            message = f"{found.file} was changed by somebody else meanwhile."
            raise RequestError(message, status=412, code="changed", where=pipeline, fix="Load it again and repeat your change.")

    def _require_writable(self) -> None:
        if self.read_only:
            raise _read_only()

    def _path(self, pipeline: str) -> Path | None:
        if not re.match(ID_PATTERN, pipeline):
            return None
        names = (self._include / "jobs" / f"{pipeline}{ending}" for ending in (".yaml", ".yml"))
        return next((path for path in names if path.is_file()), None)

    def _check_beside_others(self, spec: PipelineSpec, path: Path) -> None:
        others = self.loaded()
        folder = Loaded({**others.specs, spec.id: spec}, {k: v for k, v in others.broken.items() if k != spec.id})
        files = {name: self._include / "jobs" / f"{name}.yaml" for name in (*folder.specs, *folder.broken)}
        check_together(folder, files | {spec.id: path}, self._include)
        if spec.id in folder.broken:
            raise folder.broken[spec.id]

    @contextmanager
    def _written(self, text: str) -> Iterator[Path]:
        """Gives a finished file beside the specs; hidden, so that nobody reads it as one."""
        self._require_writable()
        jobs = self._include / "jobs"
        with _write_errors():
            handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=jobs)
            path = Path(name)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                path.chmod(0o644)  # other users' processes, the dag-processor's for one, must read it
                yield path
            finally:
                path.unlink(missing_ok=True)


def as_yaml(spec: dict[str, Any] | str) -> str:
    """Returns a spec as the text of its file."""
    if isinstance(spec, str):
        return spec
    text = yaml.safe_dump(spec, sort_keys=False, allow_unicode=True, width=150)
    # the two read plain words by different rules (1e3); JSON is YAML in which nothing is plain
    return text if _reads_as(text, spec) else json.dumps(spec, indent=2, ensure_ascii=False)


def _reads_as(text: str, spec: dict[str, Any]) -> bool:
    try:
        return bool(read_yaml(text.encode()).value == spec)
    except SpecTextError:
        return False


def missing(pipeline: str) -> RequestError:
    """Returns the error for a pipeline that isn't there."""
    message = f"there is no pipeline {pipeline!r}."
    return RequestError(message, status=404, code="not_found", where=pipeline, fix="GET /querymirror/api/pipelines lists them.")


def _taken(pipeline: str) -> RequestError:
    message = f"there is a pipeline {pipeline!r} already."
    return RequestError(message, status=409, code="exists", where=pipeline, fix="Change it with PUT, or choose another id.")


@contextmanager
def _write_errors() -> Iterator[None]:
    try:
        yield
    except OSError as err:
        if err.errno in _READ_ONLY:
            raise _read_only() from err
        raise


def _read_only() -> RequestError:
    message = "the folder of the specs is read-only here."
    return RequestError(message, status=409, code="read_only", where="include/jobs", fix="Add or change the file where your deployment takes it from.")
