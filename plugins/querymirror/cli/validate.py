"""`python -m querymirror validate`: reads specs as the DAG file does, and says what is wrong with them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from querymirror.errors import Problem, SpecError
from querymirror.spec.loader import Loaded, default_include, load_all, load_spec, spec_files
from querymirror.spec.problems import shown


@dataclass(frozen=True)
class Checked:
    """What is known of one spec file.

    Args:
        file: as people know it.
        pipeline: its id.
        problems: none = it is good.
    """

    file: str
    pipeline: str
    problems: Sequence[Problem] = field(default=())


def validate(
    files: Annotated[list[Path] | None, typer.Argument(help="Spec files; all of the include folder's jobs when left out.", show_default=False)] = None,
    *,
    include: Annotated[Path | None, typer.Option(help="The include folder; $QUERYMIRROR_INCLUDE or ./include when left out.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check spec files: every problem with its file, line and fix. Nothing is connected to.

    Exit status: 0 = all are good, 1 = at least one isn't.
    """
    folder = include or default_include()
    try:
        checked = check_files(files or (), folder)
    except SpecError as err:
        checked = [Checked(str(folder), "", err.problems)]
    _show(checked, as_json=as_json)
    if any(c.problems for c in checked):
        raise typer.Exit(1)


def check_files(files: Sequence[Path], include: Path) -> list[Checked]:
    """Checks spec files; those of the include folder also against the others there.

    Raises:
        SpecError: there is no include folder.
    """
    in_folder = spec_files(include)
    loaded = load_all(include)
    if not files:
        return [_from_folder(file, loaded, include) for file in in_folder]
    resolved = {f.resolve(): f for f in in_folder}
    return [_from_folder(resolved[f.resolve()], loaded, include) if f.resolve() in resolved else _alone(f, include) for f in files]


def _from_folder(file: Path, loaded: Loaded, include: Path) -> Checked:
    error = loaded.broken.get(file.stem)
    return Checked(shown(file, include), file.stem, error.problems if error else ())


def _alone(file: Path, include: Path) -> Checked:
    try:
        load_spec(file, include)
    except SpecError as err:
        return Checked(shown(file, include), file.stem, err.problems)
    return Checked(shown(file, include), file.stem)


def _show(checked: Sequence[Checked], *, as_json: bool) -> None:
    broken = [c for c in checked if c.problems]
    if as_json:
        sys.stdout.write(json.dumps({"ok": not broken, "files": [_as_json(c) for c in checked]}, indent=2, ensure_ascii=False) + "\n")
        return
    told: set[str] = set()  # a problem of settings.yaml is every spec's
    for one in checked:
        lines = [f"{problem}\n" for problem in one.problems] or [f"{one.file}: ok\n"]
        sys.stdout.writelines(line for line in lines if line not in told)
        told.update(lines)
    sys.stdout.write(f"{len(checked)} spec(s), {len(broken)} with problems\n" if checked else "no specs: there is no .yaml file in jobs\n")


def _as_json(one: Checked) -> dict[str, object]:
    return {"file": one.file, "pipeline": one.pipeline, "ok": not one.problems, "problems": [asdict(p) for p in one.problems]}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(validate)
