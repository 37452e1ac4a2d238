"""A dry run says what the next run does, and does none of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from querymirror.errors import SchemaError
from querymirror.plan.sync_plan import SyncPlan
from tests.fixtures.fix_pipeline import Mirror, TargetKind

pytestmark = pytest.mark.integration

FILMS = """
CREATE TABLE film (id int PRIMARY KEY, title text, score numeric, updated_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON film (updated_at);
INSERT INTO film SELECT n, 'film ' || n, n, now() - interval '1 day' FROM generate_series(1, 50) n
"""
QUERY = "SELECT id, title, score, updated_at FROM film"
_COUNTERS = "SELECT relid::bigint, relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables ORDER BY 1"
_RELATIONS = "SELECT oid::bigint, relname::text FROM pg_class WHERE relnamespace::regnamespace::text !~ '^pg_' ORDER BY 1"


def planned(mirror: Mirror, **request: Any) -> SyncPlan:
    """Plans the pipeline's next run, after which the target must be as it was."""
    before = everything(mirror)
    with mirror.open() as cycle:
        found = cycle.plan(mirror.state, mirror.request(**request))
    assert everything(mirror) == before
    return found


def everything(mirror: Mirror) -> Any:
    """Returns what a write would move: relations and counters of the database, or write counts of all indices, and the pipeline's state."""
    if mirror.indices is None:
        seen: Any = (mirror.databases.in_target(_RELATIONS), mirror.databases.in_target(_COUNTERS))
    else:
        stats = mirror.indices.client.indices.stats(index=f"{mirror.indices.prefix}*", level="shards")["indices"]
        seen = {name: [copy["seq_no"]["max_seq_no"] for copies in index["shards"].values() for copy in copies] for name, index in stats.items()}
        seen |= {"aliases": mirror.indices.client.indices.get_alias(index=f"{mirror.indices.prefix}*").body}
    return seen, mirror.state


def test_first_run(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """Before the first run the plan has the DDL, the query and the number of its rows."""
    films = mirror(FILMS, QUERY, target_kind, cursor_column="updated_at")
    plan = planned(films)
    assert (plan.changed, plan.full, plan.exact, plan.upserted, plan.deleted) == (True, True, True, 50, 0)
    made = {"postgres": 'CREATE TABLE IF NOT EXISTS "analytics"."mirrored" ("id" integer, ', "elasticsearch": "PUT /"}[target_kind]
    assert any(statement.startswith(made) for statement in plan.statements)
    assert QUERY in plan.batches[0].sql


def test_a_quiet_pipeline(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """Where nothing moved the plan says so."""
    films = mirror(FILMS, QUERY, target_kind, cursor_column="updated_at")
    films.cycle()
    plan = planned(films)
    assert (plan.changed, plan.writes_something, plan.reasons) == (False, False, ())


@pytest.mark.parametrize("cursor", ["updated_at", None], ids=["windows", "comparison"])
def test_numbers_are_those_of_the_run(mirror: Callable[..., Mirror], target_kind: TargetKind, cursor: str | None) -> None:
    """Rows to write and to delete are counted as the next run then writes and deletes them, and named."""
    films = mirror(FILMS, QUERY, target_kind, cursor_column=cursor)
    films.cycle()
    films.change("UPDATE film SET title = 'other', updated_at = now() WHERE id <= 3")
    films.change("INSERT INTO film VALUES (60, 'new', 1, now())")
    films.change("DELETE FROM film WHERE id IN (48, 49)")
    plan = planned(films)
    done = films.cycle()
    assert (plan.upserted, plan.deleted, plan.exact) == (4, 2, True) == (done.upserted, done.deleted, True)
    assert {s for s in plan.samples if s.startswith("orphan")} == {"orphan 48", "orphan 49"}
    assert {"different 1", "different 2", "different 3"} <= set(plan.samples)
    films.assert_equal()


def test_a_full_refresh_and_a_window(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """Other modes are planned as they would run: a full refresh finds what was tampered with, a window only its own rows."""
    films = mirror(FILMS, QUERY, target_kind, cursor_column="updated_at")
    films.cycle()
    films.change("UPDATE film SET title = 'other', updated_at = '2001-01-01' WHERE id = 3")
    films.change("UPDATE film SET title = 'other', updated_at = '2002-01-01' WHERE id IN (4, 5)")
    window = planned(films, window={"low": "2001-01-01", "high": "2001-06-01"})
    assert (window.upserted, window.deleted, window.batches[0].read) == (1, 0, 1)
    assert "'2001-06-01'" in window.batches[0].sql
    assert planned(films, mode="full_refresh").upserted == 3


def test_a_change_s_keys_are_shown(mirror: Callable[..., Mirror]) -> None:
    """The keys that a change names are read with the window's bounds filled in."""
    source = f"{FILMS}; CREATE TABLE note (id int PRIMARY KEY, film_id int, body text, updated_at timestamptz DEFAULT now())"
    query = "SELECT f.id, f.updated_at, (SELECT string_agg(body, ',' ORDER BY id) FROM note WHERE film_id = f.id) AS notes FROM film f"
    keys = "SELECT film_id AS id, updated_at FROM note WHERE updated_at >= %(low)s AND updated_at <= %(high)s"
    films = mirror(source + "; INSERT INTO note VALUES (1, 1, 'first', '2001-01-01')", query, cursor_column="updated_at", changes={"note": keys})
    films.cycle()
    films.change("INSERT INTO note VALUES (2, 7, 'good', now())")
    plan = planned(films)
    assert plan.upserted == 1
    assert any(b.stream == "note" and "FROM note WHERE updated_at >= '" in b.sql for b in plan.batches)
    assert films.cycle().upserted == 1


def test_a_column_more(mirror: Callable[..., Mirror]) -> None:
    """A target that would be adapted can't be compared yet: the plan has the ALTER TABLE and an upper bound."""
    films = mirror(FILMS, "SELECT id, title FROM film")
    films.cycle()
    plan = planned(films.respec(query="SELECT id, title, score FROM film"))
    assert plan.statements == ('ALTER TABLE "analytics"."mirrored" ADD COLUMN "score" numeric',)
    assert (plan.upserted, plan.deleted, plan.exact, plan.changes) == (50, None, False, ("add column score",))


def test_a_mass_delete_is_foreseen(mirror: Callable[..., Mirror]) -> None:
    """A run that max_delete_share would stop is told with its numbers; with leave to do it, it isn't."""
    films = mirror("CREATE TABLE film (id int PRIMARY KEY); INSERT INTO film SELECT generate_series(1, 2000)", "SELECT id FROM film")
    films.cycle()
    films.change("DELETE FROM film WHERE id > 100")
    plan = planned(films)
    assert plan.deleted == 1900
    assert plan.refused.startswith("mirrored: 1900 of 2000 target rows are no longer in the query (95%)")
    assert planned(films, allow_mass_delete=True).refused == ""


def test_a_refused_schema(mirror: Callable[..., Mirror]) -> None:
    """What a run would refuse, the plan refuses in the same words."""
    films = mirror(FILMS, "SELECT id, title FROM film")
    films.cycle()
    other = films.respec(query="SELECT id, current_date AS title FROM film")
    with pytest.raises(SchemaError, match="column 'title' is date in the query and text in analytics"):
        planned(other)


def test_a_mapping_that_lacks_a_field(mirror: Callable[..., Mirror]) -> None:
    """What an index would refuse of every document is told before there is an index."""
    config = {"mappings": {"dynamic": "strict", "properties": {"id": {"type": "long"}}}}
    films = mirror(FILMS, "SELECT id, title FROM film", "elasticsearch", index_config=config)
    with pytest.raises(SchemaError, match=r"the query has column 'title' \(text\), the strict mapping of index_config lacks it"):
        planned(films)


def test_a_dry_run_waits_for_no_lock(mirror: Callable[..., Mirror]) -> None:
    """A batch of a run that is under way holds the table's lock; the plan doesn't ask for it."""
    films = mirror(FILMS, QUERY, cursor_column="updated_at")
    films.cycle()
    films.change("DELETE FROM film WHERE id = 1")
    with films.open() as cycle:
        shape = cycle.target.shape(cycle.source.describe())
        with cycle.target.orphans(lambda wanted: cycle.source.stream_keys(shape, wanted), (), shape):  # holds it
            assert planned(films).deleted == 1
