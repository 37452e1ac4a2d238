"""What only shows when all specs of a folder are known: targets written twice, and the order of `after`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from querymirror.errors import SpecError
from querymirror.spec.defaults import read_document
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.problems import Problems, listed, shown, suggestion
from querymirror.spec.target import PostgresTarget
from querymirror.spec.yaml_lines import Document


class Folder(Protocol):
    """Specs of a folder, good and broken, by id."""

    @property
    def specs(self) -> dict[str, PipelineSpec]:
        """The good ones."""
        ...

    @property
    def broken(self) -> dict[str, SpecError]:
        """The others."""
        ...


def add_problems(folder: Folder, name: str, problems: Problems) -> None:
    """Makes a pipeline broken, with these problems behind those it has."""
    before = folder.broken[name].problems if name in folder.broken else ()
    folder.specs.pop(name, None)
    folder.broken[name] = SpecError([*before, *problems.found])


def check_together(folder: Folder, files: Mapping[str, Path], include: Path) -> None:
    """Breaks the pipelines that can't live beside the others.

    Args:
        folder: is changed in place.
        files: the file of every pipeline, broken ones included.
        include: the include folder.
    """
    found: dict[str, Problems] = {}

    def of(name: str) -> Problems:
        if name not in found:
            found[name] = Problems(shown(files[name], include), _document(files[name], include))
        return found[name]

    for name, others in _sharing(folder.specs):
        kind, written = _target_name(folder.specs[name])
        places = listed(shown(files[n], include) for n in others)
        of(name).add(("target", kind), f"{written} is also the target of {places}.", "Give each pipeline a target of its own.")
    for name, other in [(n, o) for n, spec in folder.specs.items() for o in spec.after if o not in files]:
        fix = suggestion(other, files, f"Name one of: {listed(n for n in files if n != name)}.")
        of(name).add(("after",), f"there is no pipeline {other!r}.", fix)
    for cycle in _cycles(folder.specs):
        for name in cycle:
            of(name).add(("after",), f"the pipelines wait for each other: {' -> '.join([*cycle, cycle[0]])}.", "Take one of them out of after.")
    for name, problems in found.items():
        add_problems(folder, name, problems)


def _document(file: Path, include: Path) -> Document | None:
    """Reads a file once more for its lines; one that was removed since it was loaded has none."""
    try:
        return read_document(file, include)
    except SpecError:
        return None


def _target_name(spec: PipelineSpec) -> tuple[str, str]:
    return ("table", spec.target.table) if isinstance(spec.target, PostgresTarget) else ("index", spec.target.index)


def _sharing(specs: Mapping[str, PipelineSpec]) -> list[tuple[str, list[str]]]:
    """Returns the pipelines whose target others write too, with those others."""
    targets: dict[tuple[str, ...], list[str]] = {}
    for name, spec in specs.items():
        targets.setdefault((spec.target.conn_id, *_target_name(spec)), []).append(name)
    return [(name, [n for n in names if n != name]) for names in targets.values() if len(names) > 1 for name in names]


def _cycles(specs: Mapping[str, PipelineSpec]) -> list[list[str]]:
    """Returns each ring of pipelines that wait for each other, once."""
    done: set[str] = set()
    rings: list[list[str]] = []
    for start in specs:
        trail: list[str] = []
        waiting = [(start, 0)]
        while waiting:
            name, depth = waiting.pop()
            del trail[depth:]
            if name in trail:
                ring = trail[trail.index(name) :]
                if not any(set(ring) == set(known) for known in rings):
                    rings.append(ring)
                continue
            if name in done or name not in specs:
                continue
            trail.append(name)
            waiting += [(other, depth + 1) for other in specs[name].after]
        done.update(trail)
        done.add(start)
    return rings
