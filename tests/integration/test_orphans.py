"""Rows that the query no longer returns leave the target: for any key, never by a short read, never too many at once."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from querymirror.buckets import Buckets
from querymirror.errors import MassDeleteError, PipelineError, TransientError
from querymirror.facts import Shape
from querymirror.sources.base import Source
from querymirror.sync import orphans
from querymirror.sync.compare import differing_buckets
from querymirror.sync.cycle import run_cycle
from querymirror.targets.base import Target
from querymirror.targets.elasticsearch import ElasticsearchIndex
from tests.fixtures.fix_pipeline import Mirror, TargetKind
from tests.fixtures.fix_tcp_proxy import TcpProxy

pytestmark = pytest.mark.integration

# columns of the key, with their values made from n
KEYS: dict[str, tuple[dict[str, str], str]] = {
    "integer": ({"id": "int"}, "n"),
    "composite": ({"a": "int", "b": "text", "c": "date"}, "n % 5, 'k' || n, '2024-01-01'::date + n"),
    "uuid": ({"id": "uuid"}, "md5(n::text)::uuid"),
    "text": ({"id": "text"}, "(ARRAY['ä', 'a', 'Z', 'z', 'ß', '', ' ', '\"', E'\\n', '中'])[1 + n % 10] || n"),
    "text, bytes": ({"id": 'text COLLATE "C"'}, "(ARRAY['ä', 'a', 'Z', 'z', 'ß'])[1 + n % 5] || n"),
    "text, code points": ({"id": 'text COLLATE "pg_c_utf8"'}, "(ARRAY['ä', 'a', 'Z', 'z', 'ß'])[1 + n % 5] || n"),
    "citext": ({"id": "citext"}, "'Key-' || n"),
    "numeric": ({"id": "numeric"}, "n / 7.0"),
    "numeric, scaled": ({"id": "numeric(20,4)"}, "n * 1.5"),
    "upper case and quotes": ({'"Key ""of"" Film"': "int", '"Order"': "text"}, "n, 'x' || n"),
    "bigint": ({"id": "bigint"}, "9223372036854775807 - n"),
    "timestamps": ({"at": "timestamptz", "d": "time"}, "'2024-01-01'::timestamptz + n * interval '1.000001 s', '10:00'::time + n * interval '1 s'"),
    "boolean and char": ({"x": "boolean", "y": "char(8)"}, "n % 2 = 0, 'c' || n"),
    "interval": ({"id": "interval"}, "n * interval '1 h 1 min'"),
}


@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_any_type(mirror: Callable[..., Mirror], kind: str, target_kind: TargetKind) -> None:
    """Deleted, re-inserted and re-keyed rows are found by any key, in a cycle that writes nothing else."""
    columns, values = KEYS[kind]
    fields, names = ", ".join(f"{name} {type_}" for name, type_ in columns.items()), ", ".join(columns)
    source = f"""CREATE EXTENSION citext; CREATE TABLE film ({fields}, n int, v text, PRIMARY KEY ({names}));
                 INSERT INTO film SELECT {values}, n, 'v' || n FROM generate_series(1, 200) n"""
    key = [name.strip('"').replace('""', '"') for name in columns]
    films = mirror(source, "SELECT * FROM film", target=target_kind, primary_key=key)
    films.tamper("CREATE EXTENSION citext")
    films.cycle()
    films.assert_equal()
    films.change("DELETE FROM film WHERE n % 10 = 3")
    summary = films.cycle()
    assert (summary.upserted, summary.deleted) == (0, 20)
    films.assert_equal()
    films.change(f"INSERT INTO film SELECT {values}, n, 'again' FROM generate_series(1, 200) n WHERE n % 20 = 3; DELETE FROM film WHERE n = 1")
    films.cycle()
    films.assert_equal()
    assert films.cycle().outcome == "quiet"


BIG = """CREATE TABLE film (id int PRIMARY KEY, v text, c timestamptz DEFAULT clock_timestamp()); CREATE INDEX ON film (c);
         INSERT INTO film SELECT n, repeat('x', 100) FROM generate_series(1, 5000) n; ANALYZE"""


def test_rows_that_leave_the_filter(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """A row that an update takes out of the query's WHERE or JOIN leaves the target in the next cycle."""
    source = BIG + "; CREATE TABLE studio (id int PRIMARY KEY); INSERT INTO studio SELECT generate_series(1, 5000)"
    films = mirror(source, "SELECT f.* FROM film f JOIN studio s ON s.id = f.id WHERE f.v <> 'hidden'", target=target_kind, cursor_column="c")
    films.cycle()
    films.change("UPDATE film SET v = 'hidden', c = clock_timestamp() WHERE id BETWEEN 10 AND 14")
    assert films.cycle().deleted == 5
    films.change("DELETE FROM studio WHERE id BETWEEN 20 AND 24")
    assert films.cycle().deleted == 5
    films.assert_equal()


def test_empty_read_stops(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """A source that is suddenly empty empties nothing: both numbers and the switch are in the error, again in the next cycle."""
    films = mirror(BIG, "SELECT * FROM film", target=target_kind, cursor_column="c")
    films.cycle()
    films.change("TRUNCATE film")
    for _ in range(2):
        with pytest.raises(MassDeleteError, match=r"5000 of 5000 target rows are no longer in the query \(100%\).*allow_mass_delete"):
            films.cycle()
        assert len(films.rows_target()) == 5000
    films.change("INSERT INTO film SELECT n, 'back' FROM generate_series(1, 2600) n")
    assert films.cycle().deleted == 2400
    films.assert_equal()


def test_share_is_the_specs(mirror: Callable[..., Mirror]) -> None:
    """`max_delete_share` decides; 1 allows everything; targets of up to 1,000 rows may lose all."""
    films = mirror(BIG, "SELECT * FROM film", cursor_column="c", max_delete_share=0.01)
    films.cycle()
    films.change("DELETE FROM film WHERE id <= 51")
    with pytest.raises(MassDeleteError, match=r"51 of 5000 target rows are no longer in the query \(1%\), more than max_delete_share 1% allows"):
        films.cycle()
    films = films.respec(max_delete_share=1)
    films.change("DELETE FROM film WHERE id > 900")
    films.cycle()
    films.assert_equal()
    films = films.respec(max_delete_share=0.01)
    films.change("DELETE FROM film")
    films.cycle()
    assert films.rows_target() == {}


@pytest.mark.parametrize("deleted", [3, 4000])
def test_a_comparison_has_found_the_orphans(mirror: Callable[..., Mirror], target_kind: TargetKind, monkeypatch: pytest.MonkeyPatch, deleted: int) -> None:
    """After a comparison by content keys are compared once more only where much differed; orphans go either way, and nothing else does."""
    asked: list[bool] = []

    def differing(source: Source, target: Target, shape: Shape, *, content: bool) -> tuple[Buckets, ...]:
        asked.append(content)
        return differing_buckets(source, target, shape, content=content)

    monkeypatch.setattr(orphans, "differing_buckets", differing)
    films = mirror(BIG, "SELECT id, v, c FROM film", target=target_kind, cursor_column="c", max_delete_share=1)
    films.cycle()
    films.change(f"DELETE FROM film WHERE id <= {deleted}")
    summary = films.cycle(mode="verify")
    assert (summary.compared, summary.upserted, summary.deleted) == (True, 0, deleted)
    assert asked == ([] if deleted == 3 else [False])
    films.assert_equal()
    assert films.cycle().outcome == "quiet"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_cut_reads_delete_nothing(mirror: Callable[..., Mirror], tcp_proxy: Callable[[int], TcpProxy], share: float, target_kind: TargetKind) -> None:
    """A connection cut anywhere in the key check ends in an error that may pass, and deletes no row that is in the source."""
    films = mirror(BIG, "SELECT * FROM film", target=target_kind, cursor_column="c", max_delete_share=1)
    films.cycle()
    films.change("DELETE FROM film WHERE id % 50 = 0")
    proxy = tcp_proxy(films.databases.server.port)
    films.source = proxy.through(films.source)
    bytes_needed = _bytes_of_the_check(films, proxy)
    proxy.cut_after(int(bytes_needed * share))
    with pytest.raises(TransientError):
        films.cycle()
    proxy.resume()
    there = films.rows_target()
    assert films.rows_source().keys() <= there.keys()
    films.cycle()
    films.assert_equal()


def _bytes_of_the_check(films: Mirror, proxy: TcpProxy) -> int:
    """Runs the check up to the deletes themselves and counts what passes."""
    with films.open() as cycle:
        request = films.request()
        detection = cycle.detect(films.state, request)
        before = proxy.forwarded
        cycle.extract(films.state, request, detection, cycle.ensure(films.state, request, detection))
        columns = cycle.source.describe()
        shape = cycle.target.shape(columns)
        cycle.source.checksums(shape, Buckets(count=4096), content=False)
        return proxy.forwarded - before


def test_candidates_are_looked_up_again(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """A row that comes back between the key check and the delete stays."""
    films = mirror(BIG, "SELECT * FROM film", target=target_kind, cursor_column="c")
    films.cycle()
    films.change("DELETE FROM film WHERE id IN (7, 8)")
    with films.open() as cycle:
        request = films.request()
        detection = cycle.detect(films.state, request)
        ensured = cycle.ensure(films.state, request, detection)
        extraction = cycle.extract(films.state, request, detection, ensured)
        asked = cycle.source.present

        def back_again(keys: object) -> object:
            films.change("INSERT INTO film VALUES (7, 'back')")
            return asked(keys)  # type: ignore[arg-type]

        cycle.source.present = back_again  # type: ignore[method-assign, assignment]
        assert cycle.delete_orphans(request, detection, ensured, extraction).deleted == 1
    films.cycle()
    films.assert_equal()


@pytest.mark.parametrize("delete_missing", ["hard", "soft"])
def test_counts_only_where_a_key_may_have_changed(mirror: Callable[..., Mirror], delete_missing: str) -> None:
    """Updates that insert nothing count nothing again; a key that changes is found in its cycle, also where its new row comes back from the marked ones."""
    films = mirror(BIG, "SELECT * FROM film", cursor_column="c", delete_missing=delete_missing)
    films.cycle()
    update = "UPDATE film SET v = 'new', c = clock_timestamp() WHERE id = {}"
    films.change(update.format(1))
    films.cycle()  # counts once
    films.change(update.format(2))
    assert _counts_in_a_cycle(films) == (0 if delete_missing == "hard" else 1)
    films.change("UPDATE film SET id = 9000, c = clock_timestamp() WHERE id = 7")
    assert films.cycle().deleted == 1
    films.change("UPDATE film SET id = 7, c = clock_timestamp() WHERE id = 9000")
    assert films.cycle().deleted == 1
    films.assert_equal()
    films.change(update.format(3))
    assert _counts_in_a_cycle(films) == 1, "what an orphan check found is counted once more"
    films.assert_equal()


def _counts_in_a_cycle(films: Mirror) -> int:
    with films.open() as cycle:
        asked, times = cycle.source.count, list[int]()

        def count() -> int:
            times.append(asked())
            return times[-1]

        cycle.source.count = count  # type: ignore[method-assign]
        assert run_cycle(cycle, films.store, films.request()).upserted == 1
        return len(times)


def test_changed_key_that_is_counted_late(mirror: Callable[..., Mirror]) -> None:
    """A row that came with its new key before the source's counters told of the update: the cycle that they start finds the old key."""
    films = mirror(BIG, "SELECT * FROM film", cursor_column="c", lag=0)
    films.cycle()
    films.change("UPDATE film SET v = 'counted', c = clock_timestamp() WHERE id = 1")
    films.cycle()
    with psycopg.connect(films.databases.source_dsn, autocommit=True) as conn:
        conn.execute("UPDATE film SET v = 'reported at once', c = clock_timestamp() WHERE id = 2")
        films.cycle()
        conn.execute("UPDATE film SET id = 9000, c = clock_timestamp() WHERE id = 7")
        films.cycle()
        assert ("9000",) in films.rows_target()
        conn.execute("UPDATE film SET v = 'one more', c = clock_timestamp() WHERE id = 3")
        conn.execute("SELECT pg_stat_force_next_flush()")
    films.cycle()
    films.assert_equal()


def test_target_column_is_gone(mirror: Callable[..., Mirror]) -> None:
    """An error in the target is told as what it is, and nothing is deleted."""
    films = mirror(BIG, "SELECT * FROM film", cursor_column="c", on_schema_change="fail")
    films.cycle()
    films.tamper("ALTER TABLE analytics.mirrored DROP COLUMN v")
    with pytest.raises(PipelineError, match=r"the query has column 'v' \(text\), analytics.mirrored lacks it"):
        films.cycle()
    assert films.databases.in_target("SELECT count(*) FROM analytics.mirrored") == [(5000,)]


def test_index_larger_than_what_is_held_in_memory(mirror: Callable[..., Mirror]) -> None:
    """An index whose differing buckets hold more ids than one look may keep is searched part by part."""
    rows = "CREATE TABLE film (id int PRIMARY KEY, updated_at timestamptz DEFAULT now()); INSERT INTO film SELECT generate_series(1, 900)"
    pipeline = mirror(rows, "SELECT * FROM film", target="elasticsearch", cursor_column="updated_at")
    pipeline.cycle()
    pipeline.change("DELETE FROM film WHERE id % 2 = 0 AND id <= 800")
    with pipeline.open() as cycle:
        assert isinstance(cycle.target, ElasticsearchIndex)
        cycle.target.ids_in_memory = 100
        assert run_cycle(cycle, pipeline.store, pipeline.request()).deleted == 400
    pipeline.assert_equal()
