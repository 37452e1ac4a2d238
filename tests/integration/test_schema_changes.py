"""The source's tables are altered under a running pipeline: adapted where that is safe, refused with a clear error where it is not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from querymirror.errors import RecordError, SchemaError, TerminalError
from tests.cases.type_reading import column_type, documents, field_type
from tests.fixtures.fix_pipeline import Mirror, TargetKind

pytestmark = pytest.mark.integration

FILM = """
CREATE TABLE film (id int PRIMARY KEY, title varchar(10), rating numeric(3,1), length int, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
INSERT INTO film SELECT n, 'film ' || n, n / 10.0, n FROM generate_series(1, 50) n;
"""
EVERYTHING = "SELECT * FROM film"


@pytest.fixture
def films(mirror: Callable[..., Mirror], target_kind: TargetKind) -> Callable[..., Mirror]:
    """Makes a loaded pipeline over all columns of `film`."""

    def make(**fields: Any) -> Mirror:
        pipeline = mirror(FILM, fields.pop("query", EVERYTHING), target_kind, cursor_column="updated_at", **fields)
        pipeline.cycle()
        pipeline.assert_equal()
        return pipeline

    return make


def _adapts(pipeline: Mirror, change: str) -> None:
    pipeline.change(change)
    pipeline.cycle()
    pipeline.assert_equal()
    # The target was altered, perhaps by somebody else too: one more comparison may follow.
    assert "quiet" in {pipeline.cycle().outcome, pipeline.cycle().outcome}


def test_new_column_is_added_and_filled(films: Callable[..., Mirror]) -> None:
    """A column added to the source reaches the target with the next cycle, for the rows that are there too, though no cursor moved."""
    pipeline = films()
    _adapts(pipeline, "ALTER TABLE film ADD COLUMN studio text DEFAULT 'Mosfilm'")
    assert {row["studio"] for row in pipeline.rows_target().values()} == {"Mosfilm"}


def test_new_column_fails_where_the_spec_says_so(films: Callable[..., Mirror]) -> None:
    """With `on_schema_change: fail` a new column stops the run and names the column; target and state stay as they were."""
    pipeline = films(on_schema_change="fail")
    before, state = pipeline.rows_target(), pipeline.state
    pipeline.change("ALTER TABLE film ADD COLUMN studio text DEFAULT 'Mosfilm'")
    with pytest.raises(SchemaError, match=r"the query has column 'studio' \(text\), \S+ lacks it\."):
        pipeline.cycle()
    assert (pipeline.state, _images(pipeline)) == (state, before)


def test_wider_type_widens_the_target(films: Callable[..., Mirror]) -> None:
    """Wider numbers and longer texts widen the target; values that did not fit before arrive."""
    pipeline = films()
    _adapts(pipeline, "ALTER TABLE film ALTER length TYPE bigint, ALTER title TYPE varchar(40), ALTER rating TYPE numeric(6,2)")
    _adapts(pipeline, f"UPDATE film SET length = 1::bigint << 40, title = '{'x' * 40}', rating = 1234.56, updated_at = clock_timestamp() WHERE id = 7")
    found = {name: (field_type if pipeline.indices else column_type)(pipeline, name) for name in ("length", "title", "rating")}
    assert found == (
        {"length": "long", "title": "text", "rating": "double"}
        if pipeline.indices
        else {"length": "bigint", "title": "character varying(40)", "rating": "numeric(6,2)"}
    )


def test_number_that_became_text_makes_the_column_text(films: Callable[..., Mirror]) -> None:
    """Text holds what an integer column held, so the target follows."""
    pipeline = films()
    _adapts(pipeline, "ALTER TABLE film ALTER length TYPE text USING length || ' min'")
    assert (field_type if pipeline.indices else column_type)(pipeline, "length") == "text"


def test_wider_type_fails_where_the_spec_says_so(films: Callable[..., Mirror]) -> None:
    """With `on_schema_change: fail` a wider type stops the run and names both types."""
    pipeline = films(on_schema_change="fail")
    pipeline.change("ALTER TABLE film ALTER length TYPE bigint")
    with pytest.raises(SchemaError, match=r"'length' is (bigint|long) in the query and integer in "):
        pipeline.cycle()


def test_narrower_type_leaves_a_table_as_it_is(films: Callable[..., Mirror]) -> None:
    """A narrower type needs no change of a table: every value fits. An index is made anew."""
    pipeline = films()
    _adapts(pipeline, "ALTER TABLE film ALTER length TYPE smallint, ALTER title TYPE varchar(8)")
    if pipeline.indices:
        assert field_type(pipeline, "length") == "short"
    else:
        assert (column_type(pipeline, "length"), column_type(pipeline, "title")) == ("integer", "character varying(10)")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "ALTER updated_at TYPE timestamp",
            "column 'updated_at' is timestamp without time zone in the query and timestamp with time zone in analytics.mirrored",
        ),
        ("ALTER rating TYPE float8", "column 'rating' is double precision in the query and numeric(3,1) in analytics.mirrored"),
        ("ALTER rating TYPE numeric(3,2) USING rating / 10", "column 'rating' is numeric(3,2) in the query and numeric(3,1) in analytics.mirrored"),
        ("ALTER title TYPE jsonb USING to_jsonb(title)", "column 'title' is jsonb in the query and character varying(10) in analytics.mirrored"),
        ("ALTER title TYPE bit(4) USING B'1010'", "column 'title' is bit(4) in the query and character varying(10) in analytics.mirrored"),
    ],
    ids=lambda value: value.split(" TYPE ")[-1] if " TYPE " in value else "",
)
def test_unsafe_type_change_is_refused_by_a_table(films: Callable[..., Mirror], target_kind: TargetKind, change: str, said: str) -> None:
    """A type that a table's column can't hold stops the run with both types and what to do; an index is filled anew."""
    pipeline = films()
    before = pipeline.rows_target()
    if target_kind == "elasticsearch":
        _adapts(pipeline, f"ALTER TABLE film {change}")
        return
    pipeline.change(f"ALTER TABLE film {change}")
    with pytest.raises(SchemaError, match=re.escape(f"mirrored: {said}. Cast or name the columns in the query, or change the table by hand.")):
        pipeline.cycle()
    assert _images(pipeline) == before


def test_fixed_bits_are_not_widened(mirror: Callable[..., Mirror]) -> None:
    """bit(4) holds no bit(3): a changed length is refused in words of its own, not in the middle of an ALTER TABLE."""
    pipeline = mirror("CREATE TABLE flags (id int PRIMARY KEY, bits bit(3)); INSERT INTO flags VALUES (1, B'101')", "SELECT * FROM flags")
    pipeline.cycle()
    pipeline.change("ALTER TABLE flags ALTER bits TYPE bit(4) USING bits::bit(4)")
    with pytest.raises(SchemaError, match=re.escape("column 'bits' is bit(4) in the query and bit(3) in analytics.mirrored.")):
        pipeline.cycle()


def test_dropped_column_stays_in_a_table(films: Callable[..., Mirror]) -> None:
    """A column that the query no longer has keeps its values in a table and is empty in new rows; an index loses the field."""
    pipeline = films()
    _adapts(pipeline, "ALTER TABLE film DROP COLUMN length; INSERT INTO film (id, title) VALUES (51, 'new')")
    if pipeline.indices:
        assert all("length" not in row for row in pipeline.rows_target().values())
    else:
        rows = dict(pipeline.databases.in_target("SELECT id, length FROM analytics.mirrored WHERE id IN (50, 51)"))
        assert rows == {50: 50, 51: None}


def test_dropped_column_that_the_query_names_is_the_sources_error(films: Callable[..., Mirror]) -> None:
    """A query that names a dropped column fails with the server's words; nothing changes in the target, and the column's return heals it."""
    pipeline = films(query="SELECT id, title, length, updated_at FROM film")
    before = pipeline.rows_target()
    pipeline.change("ALTER TABLE film RENAME COLUMN length TO minutes")
    with pytest.raises(TerminalError, match=re.escape('movies_db: column "length" does not exist')):
        pipeline.cycle()
    pipeline.change("ALTER TABLE film RENAME COLUMN minutes TO length")
    assert pipeline.rows_target() == before
    _adapts(pipeline, "UPDATE film SET length = 0, updated_at = clock_timestamp() WHERE id = 1")


@pytest.mark.parametrize("column", ["id", "updated_at"], ids=["key", "cursor"])
def test_renamed_key_or_cursor_is_named(films: Callable[..., Mirror], column: str) -> None:
    """Without its key or cursor column a pipeline stops and lists the columns there are."""
    pipeline = films()
    pipeline.change(f"ALTER TABLE film RENAME COLUMN {column} TO renamed")
    with pytest.raises(SchemaError, match=rf"'{column}' is not a column of the query \(has: .*renamed.*\)\. Set it to one of these"):
        pipeline.cycle()


def test_renamed_column_is_a_new_one(films: Callable[..., Mirror]) -> None:
    """A renamed column comes as a new one with all its values."""
    pipeline = films()
    _adapts(pipeline, "ALTER TABLE film RENAME COLUMN length TO minutes")
    assert all(row["minutes"] for row in pipeline.rows_target().values())


def test_required_column_of_the_target_is_named(mirror: Callable[..., Mirror]) -> None:
    """A NOT NULL column without a default that the query doesn't fill stops the run before a row is written."""
    pipeline = mirror(FILM, EVERYTHING, cursor_column="updated_at")
    pipeline.cycle()
    pipeline.tamper(
        "ALTER TABLE analytics.mirrored ADD COLUMN loaded_by text NOT NULL DEFAULT 'x'; ALTER TABLE analytics.mirrored ALTER loaded_by DROP DEFAULT"
    )
    pipeline.change("UPDATE film SET title = 'other', updated_at = clock_timestamp() WHERE id = 3")
    with pytest.raises(SchemaError, match=re.escape("analytics.mirrored.loaded_by is NOT NULL without a default and the query has no such column.")):
        pipeline.cycle()


def test_null_for_a_required_column_is_a_refused_row(mirror: Callable[..., Mirror]) -> None:
    """A NULL that a NOT NULL column refuses fails the run with the key, or is a dead letter; the other rows go through."""
    pipeline = mirror(FILM, EVERYTHING, cursor_column="updated_at")
    pipeline.cycle()
    pipeline.tamper("ALTER TABLE analytics.mirrored ALTER title SET NOT NULL")
    pipeline.change("UPDATE film SET title = NULLIF('film ' || id, 'film 3'), length = 0, updated_at = clock_timestamp() WHERE id IN (3, 4)")
    with pytest.raises(RecordError, match=r'the target refused 1 row\(s\): \["3"\]: null value in column "title" .* violates not-null constraint'):
        pipeline.cycle()
    assert pipeline.respec(on_reject="dead_letter").cycle().rejected == 1
    assert pipeline.databases.in_target("SELECT id FROM analytics.mirrored WHERE length = 0") == [(4,)]


def test_strict_mapping_names_the_column_it_lacks(mirror: Callable[..., Mirror]) -> None:
    """A mapping of the spec's own that lacks a column of the query stops the run, instead of refusing every document."""
    mapping = {"mappings": {"dynamic": "strict", "properties": {name: {"type": "keyword"} for name in ("id", "title", "rating", "length", "updated_at")}}}
    pipeline = mirror(FILM, EVERYTHING, "elasticsearch", index_config=mapping, on_reject="dead_letter")
    pipeline.cycle()
    pipeline.change("ALTER TABLE film ADD COLUMN studio text DEFAULT 'Mosfilm'")
    with pytest.raises(
        SchemaError, match=r"the query has column 'studio' \(text\), the strict mapping of index_config lacks it\. Add it to the mapping, or to target\.omit\."
    ):
        pipeline.cycle()
    assert pipeline.indices is not None
    assert len(documents(pipeline.indices, pipeline.index)) == 50
    assert pipeline.respec(omit=["studio"]).cycle().rejected == 0


def _images(pipeline: Mirror) -> Any:
    """The target's rows as they were described before the source changed."""
    if pipeline.indices is not None:
        return pipeline.rows_target()
    names = ("id", "title", "rating", "length", "updated_at")
    texts = ", ".join(f"{name}::text" for name in names)
    rows = pipeline.databases.in_target(f"SELECT {texts} FROM analytics.mirrored")
    return {(row[0],): dict(zip(names, row, strict=True)) for row in rows}
