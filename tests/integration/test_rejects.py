"""Rows that the target refuses: kept with reason and run while all others go through, or the run fails and nothing moves."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest

from querymirror.errors import RecordError
from querymirror.records import Reject
from tests.fixtures.fix_pipeline import Mirror, TargetKind

pytestmark = pytest.mark.integration

SOURCE = """CREATE TABLE film (id int PRIMARY KEY, v text, c timestamptz DEFAULT clock_timestamp());
            INSERT INTO film SELECT n, n::text FROM generate_series(1, 1000) n"""
QUERY = "SELECT id, v, c FROM film"
# `v` must be a number in the target; in the source it is text.
TABLE = "CREATE TABLE IF NOT EXISTS analytics.mirrored (id int PRIMARY KEY, v text CHECK (v ~ '^[0-9]+$'), c timestamptz)"
INDEX = {"mappings": {"dynamic": "strict", "properties": {"id": {"type": "integer"}, "v": {"type": "integer"}, "c": {"type": "date"}}}}
REASON = {"postgres": "violates check constraint", "elasticsearch": "failed to parse field [v] of type [integer]"}


def _films(mirror: Callable[..., Mirror], kind: TargetKind, on_reject: str) -> Mirror:
    form = {"create_sql": TABLE} if kind == "postgres" else {"index_config": INDEX}
    return mirror(SOURCE, QUERY, target=kind, cursor_column="c", on_reject=on_reject, **form)


def _bad(films: Mirror) -> None:
    films.change("UPDATE film SET v = 'many', c = clock_timestamp() WHERE id IN (1, 500, 777, 1000)")


def _keys(films: Mirror) -> set[int]:
    return {int(str(orjson.loads(r.key)[0] if films.indices is None else r.key)) for r in _rejects(films)}


def _rejects(films: Mirror) -> list[Reject]:
    with films.open() as cycle:
        return list(cycle.target.rejects())


@pytest.mark.parametrize("first_load", [True, False], ids=["first load", "later"])
def test_dead_letters(mirror: Callable[..., Mirror], target_kind: TargetKind, first_load: bool) -> None:
    """Refused rows are kept with row, reason and run; all others of the batch go through, and the summary counts them."""
    films = _films(mirror, target_kind, "dead_letter")
    if not first_load:
        assert films.cycle().rejected == 0
        assert _rejects(films) == []
    _bad(films)
    films.change("UPDATE film SET v = '12345', c = clock_timestamp() WHERE id = 2")
    summary = films.cycle(run_id="the_run")
    assert summary.rejected == 4
    there, wanted = films.rows_target(), films.rows_source()
    good = {k: row for k, row in wanted.items() if row["v"] != "many"}
    assert len(good) == 996
    assert {k: there[k] for k in good} == good
    with films.open() as cycle:
        kept = cycle.target.rejects()
    assert _keys(films) == {1, 500, 777, 1000}
    assert {r.run_id for r in kept} == {"the_run"}
    assert all(REASON[target_kind] in r.reason for r in kept), kept[0].reason
    assert {orjson.loads(r.row)["v"] for r in kept} == {"many"}
    assert all(r.at for r in kept)


def test_listed_and_dropped(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """Dead letters can be dropped by key and all together; a row refused again replaces its letter."""
    films = _films(mirror, target_kind, "dead_letter")
    films.cycle()
    for _ in range(2):
        _bad(films)
        films.cycle()
        assert _keys(films) == {1, 500, 777, 1000}
    with films.open() as cycle:
        letters = cycle.target.rejects()
        assert cycle.target.drop_rejects([letters[0].key]) == 1
        assert len(cycle.target.rejects()) == 3
        assert cycle.target.drop_rejects() == 3
        assert cycle.target.rejects() == []
        assert cycle.target.drop_rejects() == 0


def test_repaired_rows_go_through(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """Once the source's rows are good again the target is equal."""
    films = _films(mirror, target_kind, "dead_letter")
    _bad(films)
    films.cycle()
    films.change("UPDATE film SET v = '7', c = clock_timestamp() WHERE v = 'many'")
    assert films.cycle().rejected == 0
    films.assert_equal()


def test_all_rows_refused(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """A batch of nothing but bad rows is kept whole."""
    films = _films(mirror, target_kind, "dead_letter")
    films.change("UPDATE film SET v = 'many'")
    assert films.cycle().rejected == 1000
    assert films.rows_target() == {}
    assert len(_rejects(films)) == 1000


def test_fail_leaves_the_state(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """`fail` names some rows and their reasons, and does not move the state; the next run meets them again."""
    films = _films(mirror, target_kind, "fail")
    films.cycle()
    before = films.state
    _bad(films)
    for _ in range(2):
        with pytest.raises(RecordError, match="The state did not move") as caught:
            films.cycle()
        assert caught.value.rejected >= 3
        assert REASON[target_kind] in str(caught.value)
        assert "on_reject: dead_letter" in caught.value.fix
        assert films.state == before
    assert _rejects(films) == []
    films.change("UPDATE film SET v = '7', c = clock_timestamp() WHERE v = 'many'")
    films.cycle()
    films.assert_equal()


@pytest.mark.parametrize(
    ("definition", "value"),
    [("v varchar(5)", "'too long'"), ("v text NOT NULL", "NULL"), ("v text, UNIQUE (v)", "'2'"), ("v text CHECK (length(v) < 5)", "'too long'")],
    ids=["too long", "not null", "unique", "check"],
)
def test_what_a_table_can_refuse(mirror: Callable[..., Mirror], definition: str, value: str) -> None:
    """One bad row among a thousand is found by halving the batch, whatever the table has against it."""
    table = f"CREATE TABLE IF NOT EXISTS analytics.mirrored (id int PRIMARY KEY, c timestamptz, {definition})"
    films = mirror(SOURCE, QUERY, cursor_column="c", create_sql=table, on_reject="dead_letter")
    films.change(f"UPDATE film SET v = {value}, c = clock_timestamp() WHERE id = 321")
    assert films.cycle().rejected == 1
    assert _keys(films) == {321}
    assert films.rows_source().keys() - films.rows_target().keys() == {("321",)}
