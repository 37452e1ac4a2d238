"""What every target does: one suite, run over a PostgreSQL table and an Elasticsearch index."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from querymirror.errors import MassDeleteError
from querymirror.records import Window
from tests.fixtures.fix_pipeline import Mirror, TargetKind

pytestmark = pytest.mark.integration

FILMS = """
CREATE TABLE film (id int PRIMARY KEY, title text, rating numeric(3,1), updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX ON film (updated_at);
INSERT INTO film (id, title, rating, updated_at)
  SELECT n, 'film ' || n, n % 10, '2024-01-01'::timestamptz + n * interval '1 minute' FROM generate_series(1, 1200) n;
"""
QUERY = "SELECT id, title, rating, updated_at FROM film"


@pytest.fixture
def films(mirror: Callable[..., Mirror], target_kind: TargetKind) -> Mirror:
    """1,200 films with a cursor, loaded."""
    pipeline = mirror(FILMS, QUERY, target=target_kind, cursor_column="updated_at", batch_size=500)
    assert pipeline.cycle().upserted == 1200
    return pipeline


def _uncursored(mirror: Callable[..., Mirror], kind: TargetKind, **fields: Any) -> Mirror:
    pipeline = mirror(FILMS, QUERY, target=kind, **fields)
    pipeline.cycle()
    pipeline.assert_equal()
    return pipeline


def test_first_load_is_equal(films: Mirror) -> None:
    """The first run, in several batches, makes the target equal to the query."""
    assert films.state is not None
    assert films.state.last is not None
    assert films.state.last.batches > 1
    films.assert_equal()


def test_nothing_changed_is_quiet(films: Mirror) -> None:
    """A run after which nothing moved does nothing, also right after a run that wrote and deleted."""
    assert films.cycle().outcome == "quiet"
    films.change("UPDATE film SET title = 'x', updated_at = clock_timestamp() WHERE id = 5; DELETE FROM film WHERE id = 6")
    assert films.cycle().outcome == "changed"
    assert films.cycle().outcome == "quiet"


def test_insert_update_delete_follow_in_one_cycle(films: Mirror) -> None:
    """Inserted, updated and deleted rows arrive with the next cycle, which writes no others."""
    films.change(
        """INSERT INTO film (id, title) VALUES (5001, 'new'), (5002, NULL);
           UPDATE film SET title = 'renamed', updated_at = clock_timestamp() WHERE id BETWEEN 10 AND 19;
           DELETE FROM film WHERE id BETWEEN 100 AND 104"""
    )
    summary = films.cycle()
    films.assert_equal()
    assert (summary.upserted, summary.deleted) == (12, 5)


def test_key_change_moves_the_row(films: Mirror) -> None:
    """A row whose primary key changes leaves its old key and arrives under the new one."""
    films.change("UPDATE film SET id = 9000, updated_at = clock_timestamp() WHERE id = 7")
    films.cycle()
    films.assert_equal()
    films.change("DELETE FROM film WHERE id = 9000")
    films.cycle()
    films.assert_equal()


def test_deleted_and_inserted_again(films: Mirror) -> None:
    """A key that was deleted, mirrored as deleted, and inserted again is there again."""
    films.change("DELETE FROM film WHERE id = 3")
    films.cycle()
    assert len(films.rows_target()) == 1199
    films.change("INSERT INTO film (id, title) VALUES (3, 'again')")
    films.cycle()
    films.assert_equal()
    films.change("DELETE FROM film WHERE id = 3; INSERT INTO film (id, title) VALUES (3, 'between two cycles')")
    films.cycle()
    films.assert_equal()


def test_no_cursor(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """Without a cursor a changed cycle finds inserts, updates and deletes by comparing, and writes only these."""
    pipeline = _uncursored(mirror, target_kind)
    pipeline.change("UPDATE film SET title = 'x' WHERE id = 5; DELETE FROM film WHERE id IN (6, 7); INSERT INTO film VALUES (6000, 'new')")
    summary = pipeline.cycle()
    pipeline.assert_equal()
    assert (summary.upserted, summary.deleted) == (2, 2)
    assert summary.read < 50
    assert pipeline.cycle().outcome == "quiet"


def test_composite_key(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """Keys of several columns of different types identify rows and find orphans."""
    source = """CREATE TABLE part (a int, b text, "C" date, v text, PRIMARY KEY (a, b, "C"));
                INSERT INTO part SELECT n % 7, 'k"' || n, '2024-01-01'::date + n, 'v' || n FROM generate_series(1, 300) n"""
    pipeline = mirror(source, 'SELECT a, b, "C", v FROM part', target=target_kind, primary_key=["a", "b", "C"])
    pipeline.cycle()
    pipeline.assert_equal()
    pipeline.change("DELETE FROM part WHERE a = 3; UPDATE part SET b = b || '!' WHERE a = 4; UPDATE part SET v = NULL WHERE a = 5")
    pipeline.cycle()
    pipeline.assert_equal()


def test_full_refresh_repairs_everything(films: Mirror) -> None:
    """A full refresh finds changes that moved no cursor, and rows that should not be there."""
    films.change("UPDATE film SET title = 'silent' WHERE id = 700; DELETE FROM film WHERE id = 701")
    summary = films.cycle(mode="full_refresh")
    assert (summary.read, summary.upserted, summary.deleted) == (1199, 1, 1)
    films.assert_equal()


def test_verify_compares_values(films: Mirror) -> None:
    """An update of the main table that moves no cursor is found and repaired by verify, which writes only what differs."""
    films.change("UPDATE film SET rating = 9.9 WHERE id = 700")
    films.cycle()
    assert films.rows_target() != films.rows_source()
    summary = films.cycle(mode="verify")
    films.assert_equal()
    assert summary.upserted == 1


def test_window_run_leaves_the_state(films: Mirror) -> None:
    """A window run reads its cursor values, repairs them, and neither moves the state nor deletes."""
    films.change("UPDATE film SET title = 'silent' WHERE id IN (60, 600); DELETE FROM film WHERE id = 61")
    before = films.state
    summary = films.cycle(window=Window(low="2024-01-01 00:00+00", high="2024-01-01 02:00+00"))
    assert films.state == before
    assert (summary.read, summary.upserted, summary.deleted) == (118, 1, 0)
    assert films.rows_target() != films.rows_source()
    films.cycle(mode="verify")
    films.assert_equal()


def test_empty_source(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """An empty query gives an empty target; rows that come later arrive."""
    pipeline = mirror("CREATE TABLE film (id int PRIMARY KEY, updated_at timestamptz)", "SELECT * FROM film", target=target_kind, cursor_column="updated_at")
    pipeline.cycle()
    assert pipeline.rows_target() == {}
    pipeline.change("INSERT INTO film VALUES (1, now()), (2, NULL)")
    pipeline.cycle()
    pipeline.assert_equal()
    pipeline.change("DELETE FROM film")
    pipeline.cycle()
    assert pipeline.rows_target() == {}


def test_soft_delete_marks_and_takes_back(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """`soft` keeps an orphan with deleted_at set, once, and clears it when the row comes back."""
    pipeline = mirror(FILMS, QUERY, target=target_kind, cursor_column="updated_at", delete_missing="soft")
    pipeline.cycle()
    pipeline.change("DELETE FROM film WHERE id <= 10")
    assert pipeline.cycle().deleted == 10
    pipeline.assert_equal()
    assert _marked(pipeline) == 10
    pipeline.change("DELETE FROM film WHERE id = 11")
    assert pipeline.cycle().deleted == 1
    pipeline.change("INSERT INTO film (id, title) VALUES (1, 'back')")
    pipeline.cycle()
    pipeline.assert_equal()
    assert _marked(pipeline) == 10
    pipeline.cycle(mode="verify")
    assert _marked(pipeline) == 10
    pipeline.assert_equal()


def _marked(pipeline: Mirror) -> int:
    if pipeline.indices is None:
        return int(pipeline.databases.in_target("SELECT count(*) FROM analytics.mirrored WHERE deleted_at IS NOT NULL")[0][0])
    return sum(d.get("deleted_at") is not None for d in pipeline.indices.documents(pipeline.index).values()) if pipeline.spec.source.cursor_column else 0


def test_delete_missing_off_keeps_orphans(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """`off` never deletes."""
    pipeline = mirror(FILMS, QUERY, target=target_kind, cursor_column="updated_at", delete_missing="off")
    pipeline.cycle()
    pipeline.change("DELETE FROM film WHERE id <= 10; UPDATE film SET title = 'x', updated_at = now() WHERE id = 11")
    assert pipeline.cycle().deleted == 0
    assert len(pipeline.rows_target()) == 1200


def test_omitted_column_is_not_stored(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """A cursor column in `omit` serves the cycle and stays out of the target."""
    pipeline = mirror(FILMS, QUERY, target=target_kind, cursor_column="updated_at", omit=["updated_at"])
    pipeline.cycle()
    pipeline.change("UPDATE film SET title = 'x', updated_at = clock_timestamp() WHERE id = 5")
    assert pipeline.cycle().upserted == 1
    pipeline.assert_equal()
    assert all("updated_at" not in row for row in pipeline.rows_target().values())


def test_mass_delete_stops(films: Mirror) -> None:
    """A run that would delete more than max_delete_share deletes nothing, names both numbers, and goes on when allowed."""
    films.change("DELETE FROM film WHERE id > 500")
    before = films.state
    with pytest.raises(MassDeleteError, match=r"700 of 1200 target rows are no longer in the query \(58%\), more than max_delete_share 50% allows") as caught:
        films.cycle()
    assert "allow_mass_delete" in str(caught.value)
    assert films.state == before
    assert len(films.rows_target()) == 1200
    assert films.cycle(allow_mass_delete=True).deleted == 700
    films.assert_equal()


def test_repeated_batch_changes_nothing(films: Mirror) -> None:
    """An upsert task that runs again writes nothing."""
    with films.open() as cycle:
        request = films.request(mode="full_refresh")
        detection = cycle.detect(films.state, request)
        ensured = cycle.ensure(films.state, request, detection)
        extraction = cycle.extract(films.state, request, detection, ensured)
        for _ in range(2):
            assert [cycle.upsert(batch, request, ensured).upserted for batch in extraction.batches] == [0] * len(extraction.batches)
    films.assert_equal()


def test_first_runs_make_their_schema_together(mirror: Callable[..., Mirror]) -> None:
    """First runs of several tables of one new schema that start at the same time all succeed."""
    first = mirror("CREATE TABLE film (id int PRIMARY KEY, title text); INSERT INTO film VALUES (1, 'a')", "SELECT * FROM film")
    pipelines = [first.respec(id=f"film{n}", table=f"fresh.film{n}") for n in range(6)]
    with ThreadPoolExecutor(len(pipelines)) as pool:
        summaries = list(pool.map(lambda pipeline: pipeline.cycle(), pipelines))
    assert [s.upserted for s in summaries] == [1] * len(pipelines)
