"""YAML -> specs; every problem of a file is told at once, and a bad file never hides the others."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from querymirror.errors import SpecError
from querymirror.spec import checks
from querymirror.spec.cron import spread
from querymirror.spec.defaults import PROBE, load_settings, read_document, tell_repeated, with_defaults
from querymirror.spec.model_problems import add_model_problems
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.problems import Problems, fail, listed, shown, suggestion
from querymirror.spec.references import References, Sql
from querymirror.spec.settings import Settings
from querymirror.spec.together import add_problems, check_together
from querymirror.spec.upper_form import UpperForm, is_upper_form

__all__ = ["Loaded", "default_include", "find_spec", "load_all", "load_settings", "load_spec", "spec_files"]

ENDINGS = (".yaml", ".yml")
_ID = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,199}\Z")
_WORDS = {"yes": True, "on": True, "no": False, "off": False}  # what YAML 1.1 takes for true and false


@dataclass(frozen=True)
class Loaded:
    """What a folder of specs holds.

    Attributes:
        specs: by pipeline id.
        broken: what is wrong with the others, by the id they would have: their file's name, which may not be a valid id.
    """

    specs: dict[str, PipelineSpec] = field(default_factory=dict)
    broken: dict[str, SpecError] = field(default_factory=dict)


def default_include() -> Path:
    """Returns the include folder: `QUERYMIRROR_INCLUDE`, else `include` in the current directory."""
    return Path(os.environ.get("QUERYMIRROR_INCLUDE") or "include")


def spec_files(include: Path) -> list[Path]:
    """Returns the spec files of a folder by name: `*.yaml` and `*.yml` directly in `jobs`, without hidden ones.

    Raises:
        SpecError: there is no include folder.
    """
    if not include.is_dir():
        fail(str(include), 0, "there is no such include folder.", "Name it with --include or in QUERYMIRROR_INCLUDE.")
    jobs = include / "jobs"
    found = jobs.iterdir() if jobs.is_dir() else ()
    return sorted(f for f in found if f.suffix in ENDINGS and not f.name.startswith("."))


def load_all(include: Path) -> Loaded:
    """Loads every spec of an include folder, and checks them against each other.

    Returns:
        The good ones and the broken ones; with broken settings all are broken.

    Raises:
        SpecError: there is no include folder.
    """
    loaded = Loaded()
    files: dict[str, list[Path]] = {}
    for file in spec_files(include):
        files.setdefault(file.stem, []).append(file)
    try:
        settings = load_settings(include)
    except SpecError as err:
        loaded.broken.update(dict.fromkeys(files, err))
        return loaded
    for name, (file, *others) in files.items():
        try:
            loaded.specs[name] = load_spec(file, include, settings)
        except SpecError as err:
            loaded.broken[name] = err
        for other in others:
            problems = Problems(shown(other, include))
            problems.add_at(problems.file, 0, (), f"the pipeline {name!r} is also in {shown(file, include)}.", "Rename or remove one of the files.")
            add_problems(loaded, name, problems)
    check_together(loaded, {name: paths[0] for name, paths in files.items()}, include)
    return loaded


def find_spec(name_or_path: str, include: Path) -> PipelineSpec:
    """Loads the spec of a pipeline's id in include/jobs, or of a file.

    Raises:
        SpecError: there is none, or it is wrong.
    """
    if Path(name_or_path).suffix in ENDINGS or os.sep in name_or_path:
        return load_spec(Path(name_or_path), include)
    if _ID.match(name_or_path) and not name_or_path.endswith(ENDINGS):
        # every task and every check comes here; a list of thousands of files would cost more than reading the one
        for ending in reversed(ENDINGS):
            file = include / "jobs" / f"{name_or_path}{ending}"
            if file.is_file():
                return load_spec(file, include)
    files = {f.stem: f for f in spec_files(include)}
    if name_or_path not in files:
        fix = suggestion(name_or_path, files, f"Name one of: {listed(files) or 'none there yet'}; or a spec file.")
        fail(shown(include / "jobs", include), 0, f"there is no pipeline {name_or_path!r}.", fix)
    return load_spec(files[name_or_path], include)


def load_spec(path: Path, include: Path, settings: Settings | None = None) -> PipelineSpec:
    """Loads one spec file of either form.

    Args:
        path: the file; its name is the pipeline's id.
        include: the folder that holds jobs, sql, indices, transforms and settings.yaml.
        settings: None = read from the include folder.

    Raises:
        SpecError: with every problem of the file.

    Does not look at other specs: `after` and targets written twice are checked by `load_all`.
    """
    settings = load_settings(include) if settings is None else settings
    problems = Problems(shown(path, include), read_document(path, include))
    tell_repeated(problems)
    if not _ID.match(path.stem) or path.suffix not in ENDINGS:
        fix = "Use a letter, then letters, digits, '_', '-' and '.', and end it in .yaml."
        problems.add_at(problems.file, 0, (), f"{path.name!r} can't name a pipeline.", fix)
        problems.silence(("id",))
    data = problems.document.value
    if not isinstance(data, dict):
        problems.add((), "a spec is a mapping of fields to values.", "Begin with `source:` and `target:`; docs/spec.md has examples.")
        raise SpecError(problems.found)
    spec = _Reading(include, settings, problems).read(path.stem, data)
    problems.raise_if_any()
    return spec if spec is not None else fail(problems.file, 0, "the spec can't be read.", "See docs/spec.md.")


class _Reading:
    """Turns the fields of one file into a spec."""

    def __init__(self, include: Path, settings: Settings, problems: Problems) -> None:
        self._settings, self._problems = settings, problems
        self._references = References(include, problems)

    def read(self, name: str, written: dict[str, Any]) -> PipelineSpec | None:
        if is_upper_form(written):
            data = with_defaults(UpperForm(written, self._settings, self._references, self._problems).read(), self._settings)
            _spread_schedules(data, name)
            self._check_common(data)
            data = PROBE | data  # after a problem the model still looks at the other fields
        else:
            self._refuse_not_written(written)
            data = with_defaults(written, self._settings)
            _spread_schedules(data, name)
            self._check(data)
        return self._validated(data | {"id": name})

    def _refuse_not_written(self, data: dict[str, Any]) -> None:
        """Refuses fields that the model has and a spec doesn't write."""
        for path in (("id",), ("key_columns",), ("transform_code",), ("target", "columns"), ("target", "update_columns")):
            holder = data if len(path) == 1 else data.get(path[0])
            if isinstance(holder, dict) and path[-1] in holder:
                fixes = {"id": "Remove it; the file's name is the id.", "transform_code": "Remove it; name the function in transform."}
                fix = fixes.get(path[-1], "Remove it, or write the spec in the second form (docs/spec.md).")
                self._problems.add(path, "the field is not written in a spec of this form.", fix)

    def _check_common(self, data: dict[str, Any]) -> None:
        """Checks what both forms have."""
        checks.check_lists(data, self._problems)
        checks.check_schedules(data, self._problems)
        checks.check_target(data, self._settings, self._problems)

    def _check(self, data: dict[str, Any]) -> None:
        problems, references = self._problems, self._references
        for part in ("source", "target"):
            if isinstance(data.get(part), dict):
                data[part] = dict(data[part])
        source, target = data.get("source"), data.get("target")
        self._check_common(data)
        columns = None
        if isinstance(source, dict):
            query = self._sql(source, "query", ("source", "query"))
            columns = checks.check_query(query, references)
            self._check_changes(source)
        checks.check_columns(data, columns, problems)
        checks.check_keys(self._sql(data, "keys_sql", ("keys_sql",)), checks.value_at(data, ("source", "primary_key")), references)
        if data.get("transform") is not None:
            data["transform_code"] = references.transform(("transform",), data["transform"])
        if isinstance(target, dict):
            create = self._sql(target, "create_sql", ("target", "create_sql"))
            if create is not None and data.get("transform") is not None:
                checks.check_create(create, references)
            if target.get("index_config") is not None:
                target["index_config"] = references.index_config(("target", "index_config"), target["index_config"])

    def _sql(self, holder: dict[str, Any], name: str, path: tuple[str | int, ...]) -> Sql | None:
        """Reads the SQL of a field, where there is one, and puts what the model takes in its place."""
        if holder.get(name) is None:
            return None
        sql = self._references.sql(path, holder[name])
        holder[name] = sql.as_field() if sql else None
        return sql

    def _check_changes(self, source: dict[str, Any]) -> None:
        changes = source.get("changes")
        if not isinstance(changes, list):
            return
        source["changes"] = changes = [dict(c) if isinstance(c, dict) else c for c in changes]
        names: set[str] = set()
        for number, change in enumerate(changes):
            if not isinstance(change, dict):
                continue
            path = ("source", "changes", number)
            sql = self._sql(change, "keys_sql", (*path, "keys_sql"))
            if sql is not None:
                checks.check_change((*path, "keys_sql"), sql, source.get("primary_key"), self._references)
            name = str(change.get("name"))
            if name in names or name == "main":
                self._problems.add((*path, "name"), f"{name!r} is taken.", "Give each change a name of its own, other than main.")
            names.add(name)

    def _validated(self, data: dict[str, Any]) -> PipelineSpec | None:
        if isinstance(data.get("paused"), str):
            data["paused"] = _WORDS.get(data["paused"].lower(), data["paused"])
        try:
            return PipelineSpec.model_validate_json(json.dumps(data), strict=True)
        except ValidationError as err:
            add_model_problems(err, self._problems)
            return None


def _spread_schedules(data: dict[str, Any], name: str) -> None:
    for field_name in ("schedule", "verify_schedule"):
        if isinstance(data.get(field_name), str):
            data[field_name] = spread(data[field_name], name)
