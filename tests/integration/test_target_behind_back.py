"""A target that somebody else changes, empties, replaces or restores is noticed and made equal again; so is one whose spec changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from querymirror.errors import SchemaError
from tests.fixtures.fix_elasticsearch import Indices
from tests.fixtures.fix_pipeline import Mirror, TargetKind

pytestmark = pytest.mark.integration

SOURCE = """CREATE TABLE film (id int PRIMARY KEY, v text, w int DEFAULT 1, c timestamptz DEFAULT clock_timestamp()); CREATE INDEX ON film (c);
            INSERT INTO film SELECT n, 'v' || n FROM generate_series(1, 2000) n; ANALYZE"""
QUERY = "SELECT id, v, c FROM film"
TABLE = "analytics.mirrored"


@pytest.mark.parametrize(
    "change",
    [
        f"DROP TABLE {TABLE}",
        "DROP SCHEMA analytics CASCADE",
        f"TRUNCATE {TABLE}",
        f"DELETE FROM {TABLE} WHERE id % 3 = 0",
        f"UPDATE {TABLE} SET v = 'changed' WHERE id = 7",
        f"UPDATE {TABLE} SET id = -id WHERE id = 7",
        f"INSERT INTO {TABLE} VALUES (-1, 'more')",
        f"DROP TABLE {TABLE}; CREATE TABLE {TABLE} (id int PRIMARY KEY, v text, c timestamptz); ALTER TABLE {TABLE} OWNER TO analytics",
        f"ALTER TABLE {TABLE} DROP COLUMN v",
        f"ALTER TABLE {TABLE} ALTER COLUMN v TYPE text USING upper(v)",
        f"ALTER TABLE {TABLE} RENAME TO gone",
        f"BEGIN; TRUNCATE {TABLE}; INSERT INTO {TABLE} SELECT n, 'from a backup', now() FROM generate_series(1, 2000) n; COMMIT",
        f"UPDATE {TABLE} SET v = 'changed' WHERE id = 7; SELECT pg_stat_reset()",
    ],
)
@pytest.mark.parametrize("cursor", ["c", None], ids=["cursor", "no cursor"])
def test_table(mirror: Callable[..., Mirror], change: str, cursor: str | None) -> None:
    """Whatever happens to the table, the next cycle notices it with nothing moved in the source, repairs it, and is quiet again."""
    films = mirror(SOURCE, QUERY, cursor_column=cursor)
    films.cycle()
    assert films.cycle().outcome == "quiet"
    films.tamper(change)
    assert films.cycle().outcome == "changed"
    films.assert_equal()
    assert films.cycle().outcome == "quiet"


def test_table_restored_from_older_content(mirror: Callable[..., Mirror]) -> None:
    """A table put back as it was cycles ago, deleted rows included, is equal after the next cycle."""
    films = mirror(SOURCE, QUERY, cursor_column="c")
    films.cycle()
    films.tamper(f"CREATE TABLE backup AS TABLE {TABLE}")
    films.change("UPDATE film SET v = 'newer', c = clock_timestamp() WHERE id <= 100; DELETE FROM film WHERE id > 1990")
    films.cycle()
    films.tamper(f"BEGIN; DELETE FROM {TABLE}; INSERT INTO {TABLE} TABLE backup; COMMIT")
    films.cycle()
    films.assert_equal()


def test_state_is_lost(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """Without its state a pipeline starts over, over the rows that are there, and writes those that differ."""
    films = mirror(SOURCE, QUERY, target=target_kind, cursor_column="c")
    films.cycle()
    films.change("UPDATE film SET v = 'newer' WHERE id <= 100; DELETE FROM film WHERE id > 1990")
    films.store.delete(films.spec.id)
    summary = films.cycle()
    assert (summary.upserted, summary.deleted) == (100, 10)
    films.assert_equal()


def _index(films: Mirror) -> tuple[Indices, str]:
    """The cluster, and the index behind the alias."""
    assert films.indices is not None
    return films.indices, next(iter(films.indices.client.indices.get_alias(name=films.index)))


def _delete_index(films: Mirror) -> None:
    indices, physical = _index(films)
    indices.client.indices.delete(index=physical)


def _remove_alias(films: Mirror) -> None:
    indices, physical = _index(films)
    indices.client.indices.delete_alias(index=physical, name=films.index)


def _move_alias(films: Mirror) -> None:
    indices, physical = _index(films)
    other = f"{films.index}-by-hand"
    indices.client.index(index=other, id="1", document={"id": 1, "v": "of another index"}, refresh=True)
    indices.client.indices.update_aliases(actions=[{"remove": {"index": physical, "alias": films.index}}, {"add": {"index": other, "alias": films.index}}])


def _delete_documents(films: Mirror) -> None:
    _delete(films, 500)


def _delete_all(films: Mirror) -> None:
    _delete(films, 2000)


def _delete(films: Mirror, count: int) -> None:
    indices, physical = _index(films)
    indices.client.bulk(index=physical, operations=[{"delete": {"_id": str(n)}} for n in range(1, count + 1)], refresh=True)


def _change_documents(films: Mirror) -> None:
    indices, physical = _index(films)
    indices.client.index(index=physical, id="7", document={"id": 7, "v": "changed"})
    indices.client.index(index=physical, id="-1", document={"id": -1, "v": "more"})
    indices.client.delete(index=physical, id="8")


def _made_again_empty(films: Mirror) -> None:
    indices, physical = _index(films)
    body = indices.client.indices.get(index=physical)[physical]
    indices.client.indices.delete(index=physical)
    indices.client.indices.create(index=physical, mappings=body["mappings"], aliases={films.index: {}})


@pytest.mark.parametrize("change", [_delete_index, _remove_alias, _move_alias, _delete_documents, _delete_all, _change_documents, _made_again_empty])
def test_index(mirror: Callable[..., Mirror], change: Callable[[Mirror], None]) -> None:
    """Whatever happens to the index or its alias, the next cycle notices it with nothing moved in the source, and repairs it."""
    films = mirror(SOURCE, QUERY, target="elasticsearch", cursor_column="c")
    films.cycle()
    assert films.cycle().outcome == "quiet"
    change(films)
    assert films.cycle().outcome == "changed"
    films.assert_equal()
    films.cycle()  # an index that was found again was written by others, for all a run can tell: compared once more
    assert films.cycle().outcome == "quiet"


def test_name_that_is_an_index(mirror: Callable[..., Mirror]) -> None:
    """An index that stands under the alias's name is left alone, with an error that says what to do."""
    films = mirror(SOURCE, QUERY, target="elasticsearch", cursor_column="c")
    assert films.indices is not None
    films.indices.client.index(index=films.index, id="1", document={"mine": 1}, refresh=True)
    with pytest.raises(SchemaError, match="is an index; querymirror needs the name as an alias"):
        films.cycle()
    assert films.indices.documents(films.index) == {"1": {"mine": 1}}


@pytest.mark.parametrize(
    "changes",
    [
        {"query": "SELECT id, v || '!' AS v, c FROM film"},
        {"query": "SELECT id, v, c FROM film WHERE id <= 1500"},
        {"query": "SELECT id, v, w, c FROM film"},
        {"omit": ["c"]},
        {"cursor_column": None},
        {"lag": 5},
    ],
    ids=["values", "fewer rows", "a column more", "a column less", "no cursor", "lag"],
)
def test_spec_changes(mirror: Callable[..., Mirror], target_kind: TargetKind, changes: dict[str, object]) -> None:
    """A changed spec is followed by the next cycle, with nothing moved in the source; what does not matter for the rows redoes nothing."""
    films = mirror(SOURCE, QUERY, target=target_kind, cursor_column="c")
    films.cycle()
    films = films.respec(**changes)
    assert films.cycle().outcome == ("quiet" if "lag" in changes else "changed")
    films.assert_equal()
    assert films.cycle().outcome == "quiet"


def test_key_changes(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """Another key: an index gets other ids and loses the old ones; a table without a fitting unique index is refused with what it needs."""
    films = mirror(SOURCE, QUERY, target=target_kind, cursor_column="c")
    films.cycle()
    films = films.respec(primary_key=["v"])
    if target_kind == "postgres":
        with pytest.raises(SchemaError, match=r"no unique|UNIQUE"):
            films.cycle()
        films.tamper(f"ALTER TABLE {TABLE} ADD UNIQUE (v)")
    films.cycle()
    films.assert_equal()


def test_new_mapping_beside_the_old_index(mirror: Callable[..., Mirror]) -> None:
    """A changed mapping fills a new index and moves the alias in one step: readers that poll meanwhile never see less."""
    films = mirror(SOURCE, QUERY, target="elasticsearch", cursor_column="c", batch_size=300)
    films.cycle()
    before = _index(films)[1]
    mapping = {"mappings": {"properties": {"id": {"type": "long"}, "v": {"type": "keyword"}, "c": {"type": "date"}}}}
    films = films.respec(index_config=mapping)
    with _readers(films) as seen:
        films.cycle()
    assert _index(films)[1] != before
    assert set(seen) == {2000}
    assert len(seen) > 5
    films.assert_equal()
    indices = _index(films)[0]
    assert list(indices.client.indices.get(index=f"{films.index}*")) == [_index(films)[1]], "the old index is gone"


def test_interrupted_refill_goes_on(mirror: Callable[..., Mirror]) -> None:
    """A fill of a new index that breaks off leaves readers the old one; the next run goes on in the new one and moves the alias."""
    films = mirror(SOURCE, QUERY, target="elasticsearch", cursor_column="c", batch_size=300)
    films.cycle()
    before = _index(films)[1]
    films = films.respec(index_config={"mappings": {"properties": {"v": {"type": "keyword"}}}})
    with _readers(films) as seen:
        with films.open() as cycle:
            request = films.request()
            detection = cycle.detect(films.state, request)
            ensured = cycle.ensure(films.state, request, detection)
            extraction = cycle.extract(films.state, request, detection, ensured)
            for batch in extraction.batches[:3]:
                cycle.upsert(batch, request, ensured)
        assert _index(films)[1] == before
        films.change("UPDATE film SET v = 'newer', c = clock_timestamp() WHERE id <= 100")
        films.cycle()
    assert set(seen) == {2000}
    films.assert_equal()


@contextmanager
def _readers(films: Mirror) -> Iterator[list[int]]:
    """Lets a thread count documents under the alias, as a reader would, until the block ends."""
    indices = _index(films)[0]
    seen: list[int] = []
    end = threading.Event()

    def poll() -> None:
        while not end.is_set():
            seen.append(int(indices.client.count(index=films.index)["count"]))
            time.sleep(0.005)

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield seen
    finally:
        end.set()
        thread.join()
