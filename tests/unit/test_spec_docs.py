"""docs/spec.md names every field, and what it shows is right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from querymirror.spec.loader import load_spec
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.settings import AllowedTarget, Settings
from querymirror.spec.source import Change, PostgresSource
from querymirror.spec.target import ElasticsearchTarget, PostgresTarget
from querymirror.spec.upper_form import UPPER_KEYS

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "spec.md").read_text(encoding="utf-8")
SECTIONS = {
    PipelineSpec: "### The pipeline",
    PostgresSource: "### `source`",
    Change: "Each entry of `changes`",
    PostgresTarget: "### `target` of type `postgres`",
    ElasticsearchTarget: "### `target` of type `elasticsearch`",
    Settings: "## `include/settings.yaml`",
}


def rows(heading: str) -> dict[str, list[str]]:
    """Returns the cells of the first table behind a heading, by field."""
    table = re.search(r"(?:^\|.*\n)+", DOCS[DOCS.index(heading) :], re.MULTILINE)
    assert table is not None
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.group().splitlines()[2:]]
    return {cells[0].strip("`"): cells for cells in lines}


@pytest.mark.parametrize(("model", "heading"), SECTIONS.items(), ids=lambda v: v.__name__ if isinstance(v, type) else "")
def test_every_field_is_described(model: type[BaseModel], heading: str) -> None:
    """Each table has the model's fields, all of them and no other."""
    assert {name for name in rows(heading) if "[]" not in name} == set(model.model_fields)


def test_fields_of_allowed_targets_are_described() -> None:
    """The settings' table has the fields of an allowed target too."""
    named = {name.partition("[].")[2] for name in rows("## `include/settings.yaml`")}
    assert set(AllowedTarget.model_fields) <= named


def test_fields_of_the_second_form_are_described() -> None:
    """Each upper-case field has its rule."""
    assert set(UPPER_KEYS) <= set(rows("## The second form"))


@pytest.mark.parametrize(
    "name", [n for n, f in PipelineSpec.model_fields.items() if isinstance(f.default, int | float | str) and f.default not in {"", True, False}]
)
def test_defaults_are_the_model_s(name: str) -> None:
    """A default in the table is the one that holds."""
    assert rows("### The pipeline")[name][2].strip("`") == str(PipelineSpec.model_fields[name].default)


def test_the_example_loads(tmp_path: Path) -> None:
    """The first example and the settings are valid as they stand."""
    examples = [text for text in re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL) if isinstance(yaml.safe_load(text), dict)]
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "films.sql").write_text("SELECT film_id, updated_at FROM films", encoding="utf-8")
    (tmp_path / "films.yaml").write_text(examples[0], encoding="utf-8")
    (tmp_path / "settings.yaml").write_text(examples[-1], encoding="utf-8")
    assert load_spec(tmp_path / "films.yaml", tmp_path).description == "One row per film, for the dashboards"
