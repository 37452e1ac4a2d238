"""Imports point one way, so that each room can be read, tested and replaced without those above it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGE = CHECKOUT / "plugins" / "querymirror"

# room -> rooms it may import; a room is a module or a folder below plugins/querymirror, the longest name that fits counts.
VALUES = frozenset({"errors", "facts", "buckets"})
BASE = VALUES | {"records"}
PROTOCOLS = frozenset({"sources.base", "targets.base", "state.base"})
CORE = BASE | PROTOCOLS | {"connections", "digest", "transforms", "spec", "plan", "pg", "sources", "targets", "state", "sync"}
RULES: dict[str, frozenset[str]] = {
    "errors": frozenset(),
    "facts": frozenset(),
    "buckets": frozenset({"facts"}),
    "records": VALUES,  # one kind of values in two modules
    "digest": BASE,
    "transforms": frozenset({"errors"}),  # what authors of include/transforms import
    "connections": frozenset({"errors"}),
    "spec": BASE,
    "state": BASE,
    "state.variables": BASE | {"state.base", "state.metadata_variables"},
    "state.metadata_variables": BASE | {"state.base"},
    "pg": BASE | {"connections"},
    "plan": BASE | {"spec", "state.base"},
    "sources": BASE | {"spec", "state.base", "connections", "pg", "digest", "transforms"},
    "targets": BASE | {"spec", "state.base", "connections", "pg", "digest"},
    "sync": BASE | {"spec", "plan"} | PROTOCOLS,
    "operators": CORE | {"runtime"},
    "triggers": CORE | {"runtime", "operators"},
    "dag_factory": BASE | {"spec", "operators", "triggers", "dag_docs"},
    "preload": CORE | {"runtime", "dag_factory"},  # for the processes that fork tasks
    "dag_bundle": frozenset({"spec"}),
    "dag_docs": BASE | {"spec"},
    "api": BASE | {"spec", "state", "plan"},
    "api.services.servers": BASE | {"spec", "connections", "runtime", "sync.cycle"},  # the one door to sources and targets
    # Composition roots: they choose the sources, targets and stores.
    "runtime": CORE,
    "cli": CORE | {"runtime"},
    "": frozenset(),  # the package itself
    "__main__": frozenset({"cli"}),
}
# Only these may import Airflow.
AIRFLOW_ROOMS = frozenset({"operators", "triggers", "dag_factory", "dag_bundle", "preload", "state.variables", "state.metadata_variables", "api"})
MODULES = sorted(PACKAGE.rglob("*.py"))


def _module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _room_of(module: str, rooms: frozenset[str]) -> str | None:
    parts = module.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return "" if module == "" else next((name for name in names if name in rooms), None)


def _imported(source: str) -> Iterator[tuple[int, str]]:
    """Yields line and full name of everything imported, also inside functions; `from a import b` counts as a.b."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            prefix = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{prefix}.{alias.name}") for alias in node.names)


def _ours(name: str) -> str | None:
    """Returns the module within the package that an imported name stands in; None for other packages."""
    if name.partition(".")[0] != "querymirror":
        return None
    module = name.partition(".")[2]
    while module and not ((PACKAGE / Path(*module.split("."))).is_dir() or (PACKAGE / Path(*module.split("."))).with_suffix(".py").is_file()):
        module = module.rpartition(".")[0]
    return module


def _violations(module: str, source: str) -> list[str]:
    room = _room_of(module, frozenset(RULES))
    if room is None:
        return [f"{module}: belongs to no room of RULES"]
    allowed = RULES[room]
    found = []
    for line, name in _imported(source):
        if name.startswith("."):
            found.append(f"{module}:{line} imports {name}: imports are absolute")
        if name.partition(".")[0] == "airflow" and not _may_import_airflow(module):
            found.append(f"{module}:{line} imports {name}: only {', '.join(sorted(AIRFLOW_ROOMS))} may")
        other = _ours(name)
        if other is None or (room and _room_of(other, frozenset({room})) is not None):
            continue
        if _room_of(other, allowed | {""}) in {None, ""}:
            found.append(f"{module}:{line} imports {name}: {room or 'the package'} may import {', '.join(sorted(allowed)) or 'nothing of ours'}")
    return found


def _may_import_airflow(module: str) -> bool:
    return _room_of(module, AIRFLOW_ROOMS) in AIRFLOW_ROOMS


@pytest.mark.parametrize("path", MODULES, ids=_module_of)
def test_module_imports_only_what_its_room_may(path: Path) -> None:
    """No module imports a room above its own, nor Airflow below the line."""
    assert _violations(_module_of(path), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", sorted((CHECKOUT / "dags").glob("*.py")), ids=lambda path: path.name)
def test_dag_files_import_only_the_factory_and_specs(path: Path) -> None:
    """A DAG file asks the factory and knows nothing of how rows move."""
    names = [name for _, name in _imported(path.read_text(encoding="utf-8")) if _ours(name) is not None]
    allowed = RULES["dag_factory"] | {"dag_factory"}
    assert [name for name in names if _room_of(_ours(name) or "", allowed) in {None, ""}] == []


@pytest.mark.parametrize(
    ("module", "source", "said"),
    [
        pytest.param("sync.cycle", "from querymirror.targets import postgres", "sync.cycle:1 imports querymirror.targets.postgres", id="concrete target"),
        pytest.param("sync.cycle", "def f():\n    import airflow.sdk", "sync.cycle:2 imports airflow.sdk", id="Airflow inside a function"),
        pytest.param("errors", "from querymirror import records", "errors:1 imports querymirror.records", id="errors import nothing"),
        pytest.param("spec.loader", "from querymirror.sync.cycle import run_cycle", "spec.loader:1 imports querymirror.sync.cycle.run_cycle", id="upwards"),
        pytest.param("plan.window", "from . import x", "plan.window:1 imports ..x: imports are absolute", id="relative"),
        pytest.param("attic", "import os", "attic: belongs to no room", id="unknown room"),
    ],
)
def test_rule_finds_what_it_forbids(module: str, source: str, said: str) -> None:
    """The rule itself catches each kind of wrong import."""
    assert [violation[: len(said)] for violation in _violations(module, source)] == [said]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        pytest.param("sync.cycle", "from querymirror.targets.base import Target", id="protocol"),
        pytest.param("sync.cycle", "from querymirror.sync import upsert", id="same room"),
        pytest.param("state.variables", "from airflow.sdk import Variable", id="Airflow where it belongs"),
    ],
)
def test_rule_lets_pass_what_it_allows(module: str, source: str) -> None:
    """The rule is silent about right imports."""
    assert _violations(module, source) == []
