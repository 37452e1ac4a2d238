"""Every PostgreSQL type to a table and to an index: equal, or refused and kept aside; never silently changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from devstack.postgres import PostgresServer
from querymirror.records import Reject
from tests.cases.type_cases import CASES, TypeCase
from tests.cases.type_reading import TABLE, column_type, documents, exact, field_type, images, json_values, make_table, rotate
from tests.fixtures.fix_pipeline import Mirror
from tests.fixtures.fix_postgres import Databases, pair_of_databases

pytestmark = pytest.mark.integration

QUERY = f"SELECT id, value, updated_at FROM {TABLE}"
BY_ID = pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])


@pytest.fixture(scope="module")
def typed_databases(postgres_server: PostgresServer, empty_template: str) -> Iterator[Databases]:
    """One pair for all types: making a pair takes longer than a test."""
    with pair_of_databases(postgres_server, empty_template) as pair:
        yield pair


@pytest.fixture
def databases(typed_databases: Databases) -> Databases:
    """The pair, empty again."""
    typed_databases.in_source("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    typed_databases.in_target("DROP SCHEMA IF EXISTS analytics CASCADE; DROP EXTENSION IF EXISTS citext; DROP EXTENSION IF EXISTS hstore")
    return typed_databases


@BY_ID
def test_table_holds_the_source_values(case: TypeCase, mirror: Callable[..., Mirror]) -> None:
    """A table holds each value's very image: loaded, changed with and without a cursor that moves, and deleted."""
    pipeline = mirror("", QUERY, id=TABLE, cursor_column="updated_at", lag=0, on_reject="dead_letter")
    if case.target_setup:
        pipeline.databases.in_target(case.target_setup)
    pipeline.change(make_table(case))
    for step in _steps(pipeline):
        ours = images(pipeline.databases.source_dsn, TABLE)
        theirs = images(pipeline.databases.target_dsn, f"analytics.{TABLE}")
        assert ours == theirs, step
    assert column_type(pipeline) == (case.stored or case.type)
    with pipeline.open() as cycle:
        assert cycle.target.rejects() == []


@BY_ID
def test_index_holds_the_source_values(case: TypeCase, mirror: Callable[..., Mirror]) -> None:
    """A document holds each value as PostgreSQL writes it as JSON, or the row is a dead letter with the reason: at each change of it."""
    pipeline = mirror("", QUERY, "elasticsearch", id=TABLE, cursor_column="updated_at", lag=0, on_reject="dead_letter")
    pipeline.change(make_table(case))
    for step in _steps(pipeline):
        _compare_index(pipeline, case, step)
    assert field_type(pipeline) == case.field


def _steps(pipeline: Mirror) -> Iterator[str]:
    """Runs a cycle after each kind of change, and says which."""
    yield f"first load of {pipeline.cycle().read} rows"
    assert pipeline.cycle().outcome == "quiet"
    pipeline.change(rotate(cursor=True))
    pipeline.cycle()
    yield "update with the cursor"
    pipeline.change(rotate(cursor=False))
    pipeline.cycle(mode="verify")
    yield "update without the cursor, found by verify"
    pipeline.change(f"DELETE FROM {TABLE} WHERE id = 2")
    assert pipeline.cycle().deleted <= 1
    yield "delete"


def _compare_index(pipeline: Mirror, case: TypeCase, step: str) -> None:
    refused = {_spelled(pipeline, case, value): reason for value, reason in case.refused}
    assert pipeline.indices is not None
    there = documents(pipeline.indices, pipeline.index)
    letters = _dead_letters(pipeline)
    ours = json_values(pipeline.databases.source_dsn, case)
    for number, value in ours.items():
        reason = refused.get(repr(value))
        if reason is None:
            assert there[str(number)]["value"] == value, step
        else:
            letter = letters[str(number)]
            assert reason in letter.reason, step
            assert dict(exact(letter.row)[1])["value"] == value, step
    assert set(there) <= set(map(str, ours)), step


def _dead_letters(pipeline: Mirror) -> dict[str, Reject]:
    with pipeline.open() as cycle:
        return {letter.key: letter for letter in cycle.target.rejects()}


def _spelled(pipeline: Mirror, case: TypeCase, value: str) -> str:
    """Returns the JSON of a value of the case, for look-ups."""
    return repr(exact(pipeline.databases.in_source(f"SELECT to_json(({value})::{case.type})::text")[0][0]))


def test_soft_deleted_document_keeps_its_digits(mirror: Callable[..., Mirror]) -> None:
    """The mark of a soft delete is put into a document without reading its numbers anew."""
    number = "12345678901234567890123456789.1000"
    pipeline = mirror("", f"SELECT id, value FROM {TABLE}", "elasticsearch", delete_missing="soft")
    pipeline.change(f"CREATE TABLE {TABLE} (id int PRIMARY KEY, value numeric); INSERT INTO {TABLE} VALUES (1, {number}), (2, 1)")
    pipeline.cycle()
    pipeline.change(f"DELETE FROM {TABLE} WHERE id = 1")
    assert pipeline.cycle().deleted == 1
    assert pipeline.indices is not None
    marked = documents(pipeline.indices, pipeline.index)["1"]
    assert marked["value"] == ("number", number)
    assert marked["deleted_at"]
