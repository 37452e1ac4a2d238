"""Whatever stands in a spec file, loading it raises a SpecError or nothing."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from querymirror.errors import SpecError, SpecTextError
from querymirror.spec.loader import load_settings, load_spec
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.sql_tokens import Statement
from querymirror.spec.upper_form import UPPER_KEYS

CASES = Path(__file__).resolve().parents[1] / "cases" / "specs"
GOOD = [f.read_text(encoding="utf-8") for f in sorted((CASES / "valid").glob("*.yaml"))]
# The same examples each time, in about a second: a loaded machine must not fail a test.
QUICK = settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
SETTINGS = load_settings(CASES / "include")

_NAMES = st.sampled_from([*PipelineSpec.model_fields, "conn_id", "query", "primary_key", "type", "table", "index", "keys_sql", "omit", *UPPER_KEYS])
_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["films.sql", "postgres", "elasticsearch", "SELECT 1 AS a", "a.b", "movies", "* * * * *", "names:upper_titles", "../x.sql"]),
)
_VALUES = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES | st.text(max_size=5), inner, max_size=6), max_leaves=12)


@contextlib.contextmanager
def spec_file(data: bytes) -> Iterator[Path]:
    """Yields a spec file with these bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "films.yaml"
        path.write_bytes(data)
        yield path


def load(data: bytes) -> None:
    """Loads a spec with these bytes; a SpecError is an answer."""
    with spec_file(data) as path, contextlib.suppress(SpecError):
        load_spec(path, CASES / "include", SETTINGS)


@QUICK
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """Arbitrary bytes never raise anything else."""
    load(data)


@QUICK
@given(st.text(max_size=300))
def test_any_text(text: str) -> None:
    """Arbitrary text never raises anything else."""
    load(text.encode("utf-8", "surrogatepass"))


@QUICK
@given(st.dictionaries(_NAMES, _VALUES, max_size=8))
def test_any_yaml(data: dict[str, Any]) -> None:
    """Any YAML over the field names never raises anything else."""
    load(yaml.safe_dump(data, allow_unicode=True).encode("utf-8", "surrogatepass"))


@QUICK
@given(st.sampled_from(GOOD), st.data())
def test_any_cut_of_a_good_spec(text: str, data: st.DataObject) -> None:
    """A good spec with a piece cut out or put in never raises anything else."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    piece = data.draw(st.sampled_from(["", "'", '"', "(", ")", ";", "%s", "--", "/*", ",", " AS ", "SELECT ", "\n", ": ", "- ", "$$", "\\"]))
    load((text[:start] + piece + text[end:]).encode())


@QUICK
@given(st.text(alphabet="'\"()[];%s-/*$ aE\\\n,.:&uU", max_size=60))
def test_tokens_keep_the_author_s_text(text: str) -> None:
    """Tokens lie in order inside the text, each with the characters that stand there."""
    try:
        statement = Statement(text)
    except SpecTextError:
        return
    ends = [0, *(t.end for t in statement.tokens)]
    for token, before in zip(statement.tokens, ends, strict=False):
        assert before <= token.start < token.end
        assert text[token.start : token.end] == token.text


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}", "&a [*a, *a]", '"\\ud800": 1', "? ", "- ? a", "a: !!binary x", "%YAML 3.0\n---\na: b", "\x00"])
def test_odd_yaml(text: str) -> None:
    """YAML's dark corners are refused like anything else."""
    with spec_file(text.encode()) as path, pytest.raises(SpecError):
        load_spec(path, CASES / "include", SETTINGS)
