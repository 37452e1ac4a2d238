"""Names that tools stumble over, as columns, tables and indices: carried as they are, or refused with what is wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from querymirror.errors import TerminalError
from tests.cases.type_reading import documents
from tests.fixtures.fix_pipeline import Mirror, TargetKind

pytestmark = pytest.mark.integration

# Reserved words, the aliases that the product's own SQL uses, quotes, dots, blanks, percent signs, 63 bytes, other scripts, names of its staging tables.
NAMES = (
    *(
        "select",
        "order",
        "user",
        "Upper",
        "UPPER",
        "with space",
        "per%cent",
        "%s",
        "%(low)s",
        "{brace}",
        'quo"te',
        "apo'strophe",
        "back\\slash",
        "semi;--colon",
    ),
    *(
        "q",
        "d",
        "r",
        "t",
        "s",
        "k",
        "w",
        "c0",
        "querymirror_row",
        "querymirror_stage",
        "xmax_",
        "ctid_",
        "value",
        "row",
        "фильм",
        "x" * 63,
        "я" * 31,
        "a,b",
        "$1",
    ),
)


@pytest.mark.parametrize("dotted", [False, True], ids=["plain", "dotted"])
def test_columns_of_any_name_are_mirrored(mirror: Callable[..., Mirror], target_kind: TargetKind, *, dotted: bool) -> None:
    """A table with awkward column names, one of them its key, is loaded, updated with and without a cursor, and loses its orphans."""
    names = ["dot.ted", "a.b.c"] if dotted else list(NAMES)
    fields = ", ".join(f"{_quoted(name)} text" for name in names)
    pipeline = mirror("", 'SELECT * FROM "od.d"."ta ble%"', target_kind, primary_key=["se lect", "Id"], cursor_column="when", lag=0, id="awkward")
    pipeline.change(
        f'CREATE SCHEMA "od.d"; CREATE TABLE "od.d"."ta ble%" ("Id" int, "se lect" text, {fields}, "when" timestamptz DEFAULT now(), '
        'PRIMARY KEY ("se lect", "Id"))'
    )
    pipeline.change(f"""INSERT INTO "od.d"."ta ble%" ("Id", "se lect", {", ".join(map(_quoted, names))})
                        SELECT n, 'k"' || n, {", ".join(f"'{number} ' || n" for number in range(len(names)))} FROM generate_series(1, 3) n""")
    last = _quoted(names[-1])
    for change in (
        "SELECT",
        f'UPDATE "od.d"."ta ble%" SET {last} = \'with\', "when" = clock_timestamp() WHERE "Id" = 1',
        'UPDATE "od.d"."ta ble%" SET "Id" = 10, "when" = clock_timestamp() WHERE "Id" = 2',
        'DELETE FROM "od.d"."ta ble%" WHERE "Id" = 3',
    ):
        pipeline.change(change)
        pipeline.cycle()
        pipeline.assert_equal()
    pipeline.change(f'UPDATE "od.d"."ta ble%" SET {last} = \'without\' WHERE "Id" = 10')
    assert pipeline.cycle(mode="verify").upserted == 1
    pipeline.assert_equal()


@pytest.mark.parametrize("table", ['"An Alytics"."Ta.ble %s"', '"select"."from"', f'analytics."{"x" * 63}"', 'analytics."quo""te"', "Analytics.Mixed"])
def test_tables_of_any_name_are_written(mirror: Callable[..., Mirror], table: str) -> None:
    """A target table's name may be quoted, and is folded as PostgreSQL does where it is not; a refused row has a table to go to."""
    pipeline = mirror(
        "CREATE TABLE film (id int PRIMARY KEY, title text); INSERT INTO film SELECT n, 'f' || n FROM generate_series(1, 3) n", "SELECT * FROM film"
    )
    pipeline = pipeline.respec(table=table, on_reject="dead_letter")
    pipeline.cycle()
    pipeline.assert_equal()
    pipeline.tamper(f"ALTER TABLE {table} ADD CHECK (title <> 'bad')")
    pipeline.change("UPDATE film SET title = 'bad' WHERE id = 1; UPDATE film SET title = 'good' WHERE id = 2; DELETE FROM film WHERE id = 3")
    summary = pipeline.cycle()
    assert (summary.rejected, summary.deleted) == (1, 1)
    assert pipeline.databases.in_target(f"SELECT id, title FROM {table} ORDER BY 1") == [(1, "f1"), (2, "good")]
    with pipeline.open() as cycle:
        assert [letter.key for letter in cycle.target.rejects()] == ['["1"]']


@pytest.mark.parametrize("name", ["_id", "_source", "_index"])
def test_field_names_of_elasticsearch_itself_are_refused(mirror: Callable[..., Mirror], name: str) -> None:
    """A column named as one of a document's own fields stops the first run, with the name and the server's words."""
    pipeline = mirror(f"CREATE TABLE film (id int PRIMARY KEY, \"{name}\" text); INSERT INTO film VALUES (1, 'x')", "SELECT * FROM film", "elasticsearch")
    with pytest.raises(TerminalError, match=rf"{name}\W"):
        pipeline.cycle()
    assert pipeline.indices is not None
    assert not pipeline.indices.client.indices.exists(index=pipeline.index)


def test_two_columns_of_one_path_are_refused_by_an_index(mirror: Callable[..., Mirror]) -> None:
    """`a` and `a.b` can't be fields of one index: said by the first run, before a document is sent."""
    pipeline = mirror('CREATE TABLE film (id int PRIMARY KEY, a int, "a.b" int); INSERT INTO film VALUES (1, 2, 3)', "SELECT * FROM film", "elasticsearch")
    with pytest.raises(TerminalError, match=r"a\.b|\[a\]"):
        pipeline.cycle()


def test_generated_and_identity_columns_are_plain_values(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """Generated and identity columns of the source are plain columns of the target, and follow what they are generated from."""
    pipeline = mirror(
        """CREATE TABLE film (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, stored int GENERATED ALWAYS AS (a * 2) STORED,
                              virtual int GENERATED ALWAYS AS (a * 3) VIRTUAL, number bigserial, by_default int GENERATED BY DEFAULT AS IDENTITY (START 100));
           INSERT INTO film (a) VALUES (1), (2)""",
        "SELECT * FROM film",
        target_kind,
    )
    pipeline.cycle()
    pipeline.assert_equal()
    pipeline.change("UPDATE film SET a = 50 WHERE id = 1; DELETE FROM film WHERE id = 2; INSERT INTO film (a) VALUES (NULL)")
    pipeline.cycle()
    pipeline.assert_equal()


def test_generated_column_of_the_target_is_refused(mirror: Callable[..., Mirror]) -> None:
    """A target column that PostgreSQL computes itself can't be written: said before a row is sent."""
    pipeline = mirror("CREATE TABLE film (id int PRIMARY KEY, a int); INSERT INTO film VALUES (1, 2)", "SELECT * FROM film")
    pipeline.databases.in_target("CREATE SCHEMA analytics; CREATE TABLE analytics.mirrored (id int PRIMARY KEY, a int GENERATED ALWAYS AS (id + 1) STORED)")
    pipeline.databases.in_target("GRANT ALL ON SCHEMA analytics TO analytics; ALTER TABLE analytics.mirrored OWNER TO analytics")
    with pytest.raises(TerminalError, match=r"analytics\.mirrored\.a is a generated column\."):
        pipeline.cycle()


def test_type_of_an_extension_the_target_lacks_is_named(mirror: Callable[..., Mirror]) -> None:
    """A type without its extension in the target stops the run with the column, the type and what to do."""
    pipeline = mirror("CREATE EXTENSION hstore; CREATE TABLE film (id int PRIMARY KEY, tags hstore)", "SELECT * FROM film")
    with pytest.raises(
        TerminalError, match=r"column 'tags' has type hstore, which the target database does not know\. CREATE EXTENSION there, or cast the column"
    ):
        pipeline.cycle()


def test_refused_row_of_any_json_is_kept(mirror: Callable[..., Mirror]) -> None:
    """A refused row is kept as it is, also where it holds what jsonb does not."""
    pipeline = mirror(
        """CREATE TABLE film (id int PRIMARY KEY, s text, doc json, n numeric);
           INSERT INTO film VALUES (1, 'bad', '{"a": "\\u0000", "a": 1.00}', 'NaN'), (2, 'x', '[]', 1)""",
        "SELECT * FROM film",
        on_reject="dead_letter",
    )
    pipeline.databases.in_target(
        "CREATE SCHEMA analytics; CREATE TABLE analytics.mirrored (id int PRIMARY KEY, s text CHECK (s <> 'bad'), doc json, n numeric)"
    )
    pipeline.databases.in_target("GRANT ALL ON SCHEMA analytics TO analytics; ALTER TABLE analytics.mirrored OWNER TO analytics")
    assert pipeline.cycle().rejected == 1
    with pipeline.open() as cycle:
        (letter,) = cycle.target.rejects()
    assert letter.row == '{"id":1,"s":"bad","doc":{"a": "\\u0000", "a": 1.00},"n":"NaN"}'
    assert 'violates check constraint "mirrored_s_check"' in letter.reason


def test_empty_documents_and_long_texts(mirror: Callable[..., Mirror]) -> None:
    """Texts of a megabyte and a row of NULLs and empty strings come through an index's bulk bodies."""
    pipeline = mirror(
        """CREATE TABLE film (id int PRIMARY KEY, a text, b text);
           INSERT INTO film VALUES (1, repeat('длинно ', 200000), ''), (2, NULL, NULL), (3, '', repeat('x', 7000000))""",
        "SELECT * FROM film",
        "elasticsearch",
    )
    pipeline.cycle()
    assert pipeline.indices is not None
    there = documents(pipeline.indices, pipeline.index)
    assert {i: (document["a"] and len(document["a"]), document["b"] and len(document["b"])) for i, document in there.items()} == {
        "1": (1_400_000, ""),
        "2": (None, None),
        "3": ("", 7_000_000),
    }


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))
