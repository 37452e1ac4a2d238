"""`python -m querymirror validate`: reads specs as the DAG file does, and says what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import typer

from querymirror.cli.output import FAILED, excerpt, line, print_json, problem_json
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
        warnings: what the servers lack, though runs work without it; only with --connect.
        path: of the file.
    """

    file: str
    pipeline: str
    problems: Sequence[Problem] = field(default=())
    warnings: Sequence[Problem] = field(default=())
    path: Path = Path()


def validate(
    files: Annotated[list[Path] | None, typer.Argument(help="Spec files; all of the include folder's jobs when left out.", show_default=False)] = None,
    *,
    include: Annotated[Path | None, typer.Option(help="The include folder; $QUERYMIRROR_INCLUDE or ./include when left out.", show_default=False)] = None,
    connect: Annotated[bool, typer.Option("--connect", help="Also ask source and target: SQL, columns, keys, types, privileges, indexes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check spec files: every problem with its file, line and fix. Nothing is connected to without --connect; nothing is written.

    Exit status: 0 = all are good, perhaps with warnings, 1 = at least one isn't.
    """
    folder = include or default_include()
    try:
        checked = check_files(files or (), folder)
    except SpecError as err:
        checked = [Checked(str(folder), "", err.problems)]
    if connect:
        checked = [one if one.problems else _connected(one, folder) for one in checked]
    _show(checked, folder, as_json=as_json)
    if any(c.problems for c in checked):
        raise typer.Exit(FAILED)


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
    return Checked(shown(file, include), file.stem, error.problems if error else (), path=file)


def _alone(file: Path, include: Path) -> Checked:
    try:
        load_spec(file, include)
    except SpecError as err:
        return Checked(shown(file, include), file.stem, err.problems, path=file)
    return Checked(shown(file, include), file.stem, path=file)


def _connected(one: Checked, include: Path) -> Checked:
    from querymirror.cli.connect import connected  # noqa: PLC0415 - drivers, which a check of the files does without

    found = connected(one.path, include)
    problems, warnings = ([f.problem for f in found if f.severity == s] for s in ("error", "warning"))
    return Checked(one.file, one.pipeline, problems, warnings, one.path)


def _show(checked: Sequence[Checked], include: Path, *, as_json: bool) -> None:
    broken = [c for c in checked if c.problems]
    if as_json:
        print_json({"ok": not broken, "files": [_as_json(c, include) for c in checked]})
        return
    told: set[Problem] = set()  # a problem of settings.yaml is every spec's
    for one in checked:
        if not one.problems:
            line(f"{one.file}: ok", colour="green")
        _tell([p for p in one.problems if p not in told], include, "error")
        _tell([p for p in one.warnings if p not in told], include, "warning")
        told |= {*one.problems, *one.warnings}
    warned = f", {count} with warnings" if (count := sum(bool(c.warnings) for c in checked)) else ""
    line(f"{len(checked)} spec(s), {len(broken)} with problems{warned}" if checked else "no specs: there is no .yaml file in jobs", bold=True)


def _tell(problems: Sequence[Problem], include: Path, severity: Literal["error", "warning"]) -> None:
    for problem in problems:
        line(f"{'warning: ' if severity == 'warning' else ''}{problem}", colour="red" if severity == "error" else "yellow")
        for text in excerpt(problem, include):
            line(text)


def _as_json(one: Checked, include: Path) -> dict[str, object]:
    problems, warnings = ([problem_json(p, include) for p in found] for found in (one.problems, one.warnings))
    return {"file": one.file, "pipeline": one.pipeline, "ok": not one.problems, "problems": problems, "warnings": warnings}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(validate)
