"""A folder of specs: what shows only when all of them are known, and that none hides another."""

from __future__ import annotations

import cProfile
from pathlib import Path

import pytest

from querymirror.errors import SpecError
from querymirror.spec.loader import Loaded, default_include, find_spec, load_all

SPEC = """source: {{query: SELECT id FROM t, primary_key: [id]}}
target: {{type: postgres, table: {table}}}
after: [{after}]
"""


@pytest.fixture
def include(tmp_path: Path) -> Path:
    """An include folder in which every table of `a` may be written."""
    (tmp_path / "include" / "jobs").mkdir(parents=True)
    text = "allowed_targets: [{conn_id: b, tables: ['a.*']}]\ndefaults: {source_conn_id: a, target_conn_id: b}\n"
    (tmp_path / "include" / "settings.yaml").write_text(text, encoding="utf-8")
    return tmp_path / "include"


def put(include: Path, name: str, table: str = "", after: str = "") -> None:
    """Writes one spec; its table has its name unless another is given."""
    text = SPEC.format(table=table or f"a.{name.partition('.')[0]}", after=after)
    (include / "jobs" / (name if "." in name else f"{name}.yaml")).write_text(text, encoding="utf-8")


def told(loaded: Loaded) -> dict[str, str]:
    """Returns the broken pipelines' messages."""
    return {name: str(error) for name, error in loaded.broken.items()}


def test_a_bad_file_does_not_hide_the_others(include: Path) -> None:
    """One spec that is not even YAML leaves the others loaded."""
    put(include, "good")
    (include / "jobs" / "bad.yaml").write_text("a: [", encoding="utf-8")
    loaded = load_all(include)
    assert (list(loaded.specs), list(loaded.broken)) == (["good"], ["bad"])


def test_only_spec_files_are_read(include: Path) -> None:
    """Both endings count; hidden files, other endings and folders do not."""
    for name in ("one.yaml", "two.yml", ".hidden.yaml", "notes.txt", "three.yaml.swp"):
        put(include, name)
    assert sorted(load_all(include).specs) == ["one", "two"]


def test_a_folder_named_like_a_spec_is_told(include: Path) -> None:
    """A folder with a spec's name is one broken pipeline."""
    (include / "jobs" / "films.yaml").mkdir()
    assert told(load_all(include)) == {
        "films": "include/jobs/films.yaml: the file can't be read: Is a directory. Check that it exists, is a file and may be read."
    }


def test_two_files_of_one_id(include: Path) -> None:
    """films.yaml and films.yml are the same pipeline, so neither runs."""
    put(include, "films.yaml")
    put(include, "films.yml")
    loaded = load_all(include)
    assert loaded.specs == {}
    assert told(loaded) == {"films": "include/jobs/films.yml: the pipeline 'films' is also in include/jobs/films.yaml. Rename or remove one of the files."}


def test_one_target_of_two_pipelines(include: Path) -> None:
    """Two pipelines of one table are both refused, however its name is spelled; others are not touched."""
    put(include, "one", "a.films")
    put(include, "two", 'A."films"')
    put(include, "three")
    loaded = load_all(include)
    assert list(loaded.specs) == ["three"]
    fix = "Give each pipeline a target of its own."
    assert told(loaded) == {
        "one": f"include/jobs/one.yaml:2 target.table: a.films is also the target of include/jobs/two.yaml. {fix}",
        "two": f"include/jobs/two.yaml:2 target.table: a.films is also the target of include/jobs/one.yaml. {fix}",
    }


def test_after_an_unknown_pipeline(include: Path) -> None:
    """`after` names a pipeline that no file has: refused with names that look like it."""
    put(include, "films")
    put(include, "ratings", after="film")
    loaded = load_all(include)
    assert told(loaded) == {
        "ratings": "include/jobs/ratings.yaml:3 after: there is no pipeline 'film'. Did you mean films? Name one of: films.",
    }


def test_after_a_broken_pipeline(include: Path) -> None:
    """A pipeline may follow one whose spec is broken: it exists."""
    put(include, "films", table="secret.films")
    put(include, "ratings", after="films")
    assert list(load_all(include).specs) == ["ratings"]


def test_pipelines_that_wait_for_each_other(include: Path) -> None:
    """Every pipeline of a ring is refused, those that follow the ring are not."""
    put(include, "a", after="b")
    put(include, "b", after="c, d")
    put(include, "c", after="a")
    put(include, "d")
    put(include, "e", after="a")
    put(include, "f", after="f")
    loaded = load_all(include)
    assert sorted(loaded.specs) == ["d", "e"]
    ring = "the pipelines wait for each other: a -> b -> c -> a. Take one of them out of after."
    assert told(loaded) == {
        **{name: f"include/jobs/{name}.yaml:3 after: {ring}" for name in "abc"},
        "f": "include/jobs/f.yaml:3 after: the pipelines wait for each other: f -> f. Take one of them out of after.",
    }


def test_broken_settings_break_every_pipeline(include: Path) -> None:
    """With settings that can't be read nothing is known to be allowed, so nothing loads."""
    put(include, "films")
    (include / "settings.yaml").write_text("defaults: []", encoding="utf-8")
    assert told(load_all(include)) == {"films": "include/settings.yaml:1 defaults: [] is not a mapping. Write a mapping."}


def test_no_include_folder(tmp_path: Path) -> None:
    """A wrong folder is an error and not an empty deployment."""
    with pytest.raises(SpecError) as caught:
        load_all(tmp_path / "nothing")
    assert str(caught.value) == f"{tmp_path}/nothing: there is no such include folder. Name it with --include or in QUERYMIRROR_INCLUDE."


def test_find_by_id_and_by_file(include: Path) -> None:
    """A pipeline is found by its id, or as a file anywhere."""
    put(include, "films")
    (include.parent / "draft.yaml").write_text(SPEC.format(table="a.draft", after=""), encoding="utf-8")
    assert find_spec("films", include).id == "films"
    assert find_spec(str(include.parent / "draft.yaml"), include).id == "draft"
    with pytest.raises(SpecError) as caught:
        find_spec("film", include)
    assert str(caught.value) == "include/jobs: there is no pipeline 'film'. Did you mean films? Name one of: films; or a spec file."


def test_default_include(monkeypatch: pytest.MonkeyPatch) -> None:
    """QUERYMIRROR_INCLUDE names the folder, ./include is the default."""
    monkeypatch.delenv("QUERYMIRROR_INCLUDE", raising=False)
    assert default_include() == Path("include")
    monkeypatch.setenv("QUERYMIRROR_INCLUDE", "/etc/querymirror")
    assert default_include() == Path("/etc/querymirror")


def test_each_further_spec_costs_the_same(include: Path) -> None:
    """The DAG processor reads every spec each time: twice as many make twice as many calls, not four times as many."""
    calls = []
    for count in (100, 200):
        for number in range(count):
            put(include, f"films_{number}")
        profile = cProfile.Profile()
        assert len(profile.runcall(load_all, include).specs) == count
        calls.append(sum(entry.callcount for entry in profile.getstats()))
    assert calls[1] < 2.1 * calls[0]
