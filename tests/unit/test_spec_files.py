"""Spec files under tests/cases/specs: good ones load, each bad one says what, where and how to fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from querymirror.errors import SpecError
from querymirror.spec.loader import load_settings, load_spec
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.target import ElasticsearchTarget, PostgresTarget

CASES = Path(__file__).resolve().parents[1] / "cases" / "specs"
INCLUDE = CASES / "include"
INVALID = sorted((CASES / "invalid").glob("*.yaml"))
VALID = sorted((CASES / "valid").glob("*.yaml"))


def valid(name: str) -> PipelineSpec:
    """Loads one of the good specs."""
    return load_spec(CASES / "valid" / f"{name}.yaml", INCLUDE)


@pytest.mark.parametrize("file", INVALID, ids=lambda f: f.stem)
def test_a_bad_spec_says_all_that_is_wrong(file: Path) -> None:
    """Every problem of the file is told at once, word for word as in the .txt file beside it."""
    with pytest.raises(SpecError) as caught:
        load_spec(file, INCLUDE)
    told = str(caught.value).replace(f"{file.parent}/", "")
    assert told == file.with_suffix(".txt").read_text(encoding="utf-8").rstrip("\n")
    assert all(p.what and p.fix for p in caught.value.problems)


def test_each_bad_spec_has_its_message() -> None:
    """No message is left without its spec, and there are cases for both forms."""
    assert {f.stem for f in (CASES / "invalid").glob("*.txt")} == {f.stem for f in INVALID}
    assert len([f for f in INVALID if f.stem.startswith("upper_")]) > 30
    assert len(INVALID) > 90


@pytest.mark.parametrize("file", VALID, ids=lambda f: f.stem)
def test_a_good_spec_loads(file: Path) -> None:
    """A good spec loads under its file's name."""
    assert load_spec(file, INCLUDE).id == file.stem


def test_defaults_come_from_settings_and_give_way() -> None:
    """Connections and fields that a spec leaves out come from settings.yaml; what it says wins."""
    plain, full = valid("smallest"), valid("every_field")
    assert (plain.source.conn_id, plain.target.conn_id, plain.retries) == ("movies_db", "analytics_db", 3)
    assert full.retries == 0
    assert valid("index_inline").target.conn_id == "movies_es"


def test_words_that_yaml_1_1_changes_stay_what_was_written() -> None:
    """`off`, `no`, `on` and dates are text, and yes is true where true or false is asked for."""
    spec = valid("every_field")
    assert (spec.delete_missing, spec.owner, spec.tags, spec.paused) == ("off", "no", ("on", "2024-05-01", "1"), True)


def test_a_table_has_one_spelling() -> None:
    """Unquoted names fold, quoted ones stay, a name without a schema lies in public."""
    target = valid("every_field").target
    assert isinstance(target, PostgresTarget)
    assert target.table == 'analytics."Film Dim"'
    upper = valid("upper_having").target
    assert isinstance(upper, PostgresTarget)
    assert upper.table == "public.plain"


def test_sql_comes_from_files_and_from_the_spec() -> None:
    """A file's name leads to its text, inline SQL stays; a trailing semicolon goes."""
    spec = valid("every_field")
    assert (spec.source.query.file, spec.source.query.text.splitlines()[0]) == ("sql/films.sql", "-- All films.")
    assert [c.keys_sql.file for c in spec.source.changes] == ["sql/changed.sql", None]
    assert valid("odd_sql").source.query.text.endswith("-- the end; of it")


def test_an_index_takes_its_configuration_from_file_or_spec() -> None:
    """`index_config` is a file under include/indices or the object itself."""
    inline, file = valid("index_inline").target, valid("alias").target
    assert isinstance(inline, ElasticsearchTarget)
    assert isinstance(file, ElasticsearchTarget)
    assert inline.index_config == {"mappings": {"dynamic": "strict"}}
    assert (file.index_config or {})["settings"] == {"number_of_replicas": 0}


def test_no_schedule_means_by_hand() -> None:
    """`schedule: null` is kept and not replaced by a default."""
    assert valid("by_hand").schedule is None


def test_without_settings_nothing_may_be_written(tmp_path: Path) -> None:
    """A missing settings.yaml allows no target, and the error says so."""
    spec = tmp_path / "jobs" / "films.yaml"
    spec.parent.mkdir()
    text = "{source: {conn_id: a, query: SELECT 1 AS id, primary_key: [id]}, target: {type: postgres, conn_id: b, table: c.d}}"
    spec.write_text(text, encoding="utf-8")
    assert load_settings(tmp_path).allowed_targets == ()
    with pytest.raises(SpecError, match=r"target\.table: c\.d of b is not an allowed target \(allowed: nothing\)"):
        load_spec(spec, tmp_path)


SETTINGS = {
    "unknown default": ("defaults: {retry: 1}", "settings.yaml:1 defaults.retry: there is no such default. Did you mean retries or retry_delay?"),
    "default out of range": ("defaults:\n  retries: 99", "settings.yaml:2 defaults.retries: 99 is out of range. Write a number that is at most 20."),
    "default connection": ("defaults:\n  source_conn_id: 5", "settings.yaml:2 defaults.source_conn_id: 5 is not a connection id."),
    "unknown key": ("alowed_targets: []", "settings.yaml:1 alowed_targets: there is no such field. Did you mean allowed_targets?"),
    "unknown key below": (
        "allowed_targets:\n  - conn_id: a\n    table: [b]",
        "settings.yaml:3 allowed_targets[0].table: there is no such field. Did you mean tables?",
    ),
    "a list": ("[]", "settings.yaml:1: settings are a mapping of fields to values."),
    "not YAML": ("a: [", "settings.yaml:2: this is not YAML"),
}


@pytest.mark.parametrize(("text", "message"), SETTINGS.values(), ids=SETTINGS.keys())
def test_bad_settings_are_told_in_their_own_file(tmp_path: Path, text: str, message: str) -> None:
    """A wrong settings.yaml is told once, at its own line, before any spec is read."""
    (tmp_path / "settings.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load_settings(tmp_path)
    assert message in str(caught.value)
