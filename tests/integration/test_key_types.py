"""Every type that can be a primary key: updates, changes of the key itself and orphans, for both targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.cases.type_reading import documents
from tests.fixtures.fix_pipeline import Mirror, TargetKind

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class KeyCase:
    """A key of one or two columns.

    Attributes:
        types: of the key's columns.
        keys: SQL, one row constructor's content each; the second row's key is later replaced by `moved`, the last row is deleted.
        names: of the key's columns.
        setup: DDL in the source.
        target_setup: DDL in the target database.
        index_keys: in place of `keys` for an index, which refuses some of them.
    """

    id: str
    types: tuple[str, ...]
    keys: tuple[str, ...]
    moved: str
    names: tuple[str, ...] = ("id",)
    setup: str = ""
    target_setup: str = ""
    index_keys: tuple[str, ...] = ()


CASES = (
    KeyCase("integer", ("integer",), ("-1", "0", "7"), "8"),
    KeyCase("bigint", ("bigint",), ("9007199254740992", "9007199254740993", "-9223372036854775808"), "9223372036854775807"),
    KeyCase("numeric", ("numeric",), ("0.1", "1.0", "1e50"), "1.00"),
    KeyCase("numeric_scaled", ("numeric(8,2)",), ("0.10", "1.00", "-5"), "1.01"),
    KeyCase("double", ("double precision",), ("0.1", "'-0'", "1e300"), "'0'"),
    KeyCase("text", ("text",), ("''", "'a'", "E'tab\\t, \\\\ and \"'"), "'A'", index_keys=("' '", "'a'", "E'tab\\t, \\\\ and \"'")),
    KeyCase("text_collated", ("text COLLATE pg_unicode_fast",), ("'ä'", "'z'", "'Ä'"), "'Z'"),
    KeyCase("varchar", ("varchar(10)",), ("'a'", "'a '", "'b'"), "'a  '"),
    KeyCase("char", ("char(5)",), ("'ab'", "'b'", "''"), "'abcde'", index_keys=("'ab'", "'b'", "'c d'")),
    KeyCase("uuid", ("uuid",), ("'00000000-0000-0000-0000-000000000000'", "gen_random_uuid()", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"), "gen_random_uuid()"),
    KeyCase("date", ("date",), ("'2024-02-29'", "'infinity'", "'0044-03-15 BC'"), "'2024-03-01'", index_keys=("'2024-02-29'", "'0001-01-01'", "'9999-12-31'")),
    KeyCase(
        "timestamptz",
        ("timestamptz",),
        ("'2024-01-01 00:00:00.000001+03'", "'infinity'", "'0044-03-15 12:00+00 BC'"),
        "'2024-01-01 00:00:00.000002+03'",
        index_keys=("'2024-01-01 00:00:00.000001+03'", "'2024-01-01'", "'1900-01-01'"),
    ),
    KeyCase("interval", ("interval",), ("'1 hour'", "'1 day'", "'1 mon 1 day'"), "'24 hours'"),
    KeyCase("bytea", ("bytea",), (r"'\x00'", r"'\xff5c0a'", r"'\x'"), r"'\x0102'"),
    KeyCase("inet", ("inet",), ("'10.0.0.1'", "'::1'", "'10.0.0.0/8'"), "'10.0.0.2'", index_keys=("'10.0.0.1'", "'::1'", "'::ffff:1.2.3.4'")),
    KeyCase("boolean", ("boolean", "integer"), ("true, 1", "false, 1", "false, 2"), "true, 2", names=("flag", "id")),
    KeyCase("enum", ("mood",), ("'sad'", "'ok'", "'so so'"), "'gone'", setup="CREATE TYPE mood AS ENUM ('so so', 'sad', 'ok', 'gone')"),
    KeyCase("domain", ("code",), ("'a'", "'b'", "'c'"), "'d'", setup="CREATE DOMAIN code AS varchar(5) CHECK (VALUE <> '')"),
    KeyCase("citext", ("citext",), ("'Film'", "'Genre'", "'Person'"), "'GENRE'", setup="CREATE EXTENSION citext", target_setup="CREATE EXTENSION citext"),
    KeyCase("array", ("integer[]",), ("'{1,2}'", "'{}'", "'{1,NULL}'"), "'{3}'"),
    KeyCase("jsonb", ("jsonb",), ("'1'", "'{\"a\": 1.0}'", "'[]'"), "'{\"a\": 1.00}'"),
    KeyCase("range", ("int4range",), ("'[1,2)'", "'empty'", "'(,)'"), "'[5,6)'"),
    KeyCase(
        "composite_key",
        ("uuid", "text"),
        ("gen_random_uuid(), 'a,b'", "gen_random_uuid(), ''", "gen_random_uuid(), '\"'"),
        "gen_random_uuid(), 'x'",
        names=("a", "b"),
    ),
    KeyCase("upper_case_name", ("integer",), ("1", "2", "3"), "4", names=("Id",)),
    KeyCase("odd_names", ("integer", "text"), ("1, 'a'", "2, 'b'", "3, 'c'"), "2, 'd'", names=('we"ird %s', "select")),
)


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_key_of_this_type_is_mirrored(case: KeyCase, mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """Rows with keys of this type are loaded, updated, given another key and deleted; a quiet cycle follows, and verify finds nothing."""
    names = [_quoted(name) for name in case.names]
    key = ", ".join(names)
    pipeline = mirror("", f"SELECT {key}, value, updated_at FROM keyed", target_kind, id="keyed", primary_key=case.names, cursor_column="updated_at", lag=0)
    if case.target_setup and target_kind == "postgres":
        pipeline.databases.in_target(case.target_setup)
    fields = ", ".join(f"{name} {kind}" for name, kind in zip(names, case.types, strict=True))
    pipeline.change(f"{case.setup or 'SELECT'}; CREATE TABLE keyed ({fields}, n int, value text, updated_at timestamptz DEFAULT now(), PRIMARY KEY ({key}))")
    for number, values in enumerate(case.index_keys if case.index_keys and pipeline.indices else case.keys):
        pipeline.change(f"INSERT INTO keyed VALUES ({values}, {number}, 'first')")
    for change in _changes(case, key):
        pipeline.change(change)
        pipeline.cycle()
        _assert_equal(pipeline, key)
        assert pipeline.cycle().outcome == "quiet", change
    assert pipeline.cycle(mode="verify").upserted == 0


def _changes(case: KeyCase, key: str) -> tuple[str, ...]:
    moved = f"({case.moved})" if len(case.names) > 1 else case.moved
    place = f"({key})" if len(case.names) > 1 else key
    return (
        "SELECT",
        "UPDATE keyed SET value = 'second', updated_at = clock_timestamp()",
        f"UPDATE keyed SET {place} = {moved}, updated_at = clock_timestamp() WHERE n = 1",
        "DELETE FROM keyed WHERE n = 2",
    )


def _assert_equal(pipeline: Mirror, key: str) -> None:
    if pipeline.indices is None:
        pipeline.assert_equal()
        return
    document_id = f"json_build_array({', '.join(f'{part}::text' for part in key.split(', '))})::text" if ", " in key else f"{key}::text"
    ours = dict(pipeline.databases.in_source(f"SELECT {document_id}, value FROM keyed"))
    assert {i: document["value"] for i, document in documents(pipeline.indices, pipeline.index).items()} == ours


def test_keys_that_an_index_refuses_are_dead_letters(mirror: Callable[..., Mirror]) -> None:
    """A document's id may not be empty nor longer than 512 bytes: such rows are kept aside with the reason, the others go through."""
    pipeline = mirror("", "SELECT id, value FROM keyed", "elasticsearch", on_reject="dead_letter")
    pipeline.change("CREATE TABLE keyed (id text PRIMARY KEY, value int); INSERT INTO keyed VALUES ('', 1), (repeat('x', 513), 2), (repeat('y', 512), 3)")
    assert pipeline.cycle().rejected == 2
    assert pipeline.indices is not None
    assert set(documents(pipeline.indices, pipeline.index)) == {"y" * 512}
    with pipeline.open() as cycle:
        letters = {letter.key[:1]: letter.reason for letter in cycle.target.rejects()}
    assert letters == {"": "its id is empty", "x": "its id is too long, 513 bytes of at most 512"}
    pipeline.change("UPDATE keyed SET value = 4")
    assert pipeline.cycle(mode="verify").rejected == 2
    assert documents(pipeline.indices, pipeline.index)["y" * 512]["value"] == ("number", "4")


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))
