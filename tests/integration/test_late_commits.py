"""Rows whose transaction was open while cycles ran arrive in a later cycle; the source's role has nothing but SELECT.

`lag` is 0 wherever the method itself, not the seconds re-read, must carry the row.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import psycopg
import pytest

from querymirror.sources.transactions import not_ended
from querymirror.sync import extract
from tests.fixtures.fix_pipeline import Mirror, TargetKind, session

pytestmark = pytest.mark.integration

CURSORS = {
    "timestamptz": ("timestamptz", "now()"),
    "timestamp": ("timestamp", "now()"),
    "bigint": ("bigint", "nextval('ticks')"),
}
QUERY = "SELECT id, v, c FROM film"


def _source(cursor: str) -> str:
    kind, default = CURSORS[cursor]
    return f"""CREATE SEQUENCE ticks; CREATE TABLE film (id int PRIMARY KEY, v text, c {kind} DEFAULT {default}); CREATE INDEX ON film (c);
               INSERT INTO film SELECT n, 'first' FROM generate_series(1, 50) n"""


def _tick(cursor: str) -> str:
    return CURSORS[cursor][1]


@pytest.fixture(params=CURSORS)
def cursor(request: pytest.FixtureRequest) -> str:
    """Kinds of cursor."""
    return str(request.param)


@pytest.fixture
def films(mirror: Callable[..., Mirror], cursor: str) -> Mirror:
    """50 films, loaded; no seconds are re-read."""
    pipeline = mirror(_source(cursor), QUERY, cursor_column="c", lag=0)
    pipeline.cycle()
    pipeline.assert_equal()
    return pipeline


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cycles do not wait for transactions that these tests keep open; nothing else is patched."""
    monkeypatch.setattr(extract, "WAIT_FOR_TRANSACTIONS", 0.0)
    monkeypatch.setattr(extract, "WAIT_IN_FULL_READ", 0.0)


@pytest.mark.parametrize("cycles", [1, 4])
def test_row_of_a_long_transaction_arrives(films: Mirror, cursor: str, cycles: int) -> None:
    """Inserted, updated and deleted rows of a transaction that was open during one or many cycles arrive once it has committed."""
    with session(films.databases.source_dsn) as late:
        late.execute("INSERT INTO film VALUES (1000, 'late')")
        late.execute(f"UPDATE film SET v = 'late', c = {_tick(cursor)} WHERE id <= 3".encode())
        late.execute("DELETE FROM film WHERE id = 4")
        for n in range(cycles):
            films.change(f"INSERT INTO film VALUES ({2000 + n}, 'in time')")
            summary = films.cycle()
            assert summary.held_back_since
            films.assert_equal()
        late.commit()
    films.cycle()
    films.assert_equal()


def test_open_during_the_first_load(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """A transaction that was open during the first load is carried later, to tables and to indices."""
    films = mirror(_source("bigint"), QUERY, target=target_kind, cursor_column="c", lag=0)
    with session(films.databases.source_dsn) as late:
        late.execute("INSERT INTO film VALUES (1000, 'late')")
        films.change("INSERT INTO film VALUES (1001, 'in time')")
        films.cycle()
        films.assert_equal()
        films.change("INSERT INTO film VALUES (1002, 'in time')")
        films.cycle()
        late.commit()
    films.cycle()
    films.assert_equal()


def test_reader_without_any_right(films: Mirror) -> None:
    """The role that reads has SELECT and no more: no membership, and no view of others' transaction starts."""
    with psycopg.connect(films.databases.server.dsn(films.source.schema or "", role="reader"), autocommit=True) as conn:
        row = conn.execute(
            "SELECT pg_has_role('pg_read_all_stats', 'MEMBER'), pg_has_role('pg_monitor', 'MEMBER'), rolsuper FROM pg_roles WHERE rolname = 'reader'"
        )
        assert row.fetchone() == (False, False, False)


def test_prepared_transaction(films: Mirror) -> None:
    """A row of a prepared transaction arrives after COMMIT PREPARED, however many cycles ran before it was prepared and after."""
    with session(films.databases.source_dsn) as late:
        late.execute("INSERT INTO film VALUES (1000, 'late')")
        films.change("INSERT INTO film VALUES (1001, 'in time')")
        films.cycle()
        with _prepared(films, late):
            for n in range(3):
                films.change(f"INSERT INTO film VALUES ({2000 + n}, 'in time')")
                films.cycle()
                films.assert_equal()
    films.cycle()
    films.assert_equal()


@contextlib.contextmanager
def _prepared(films: Mirror, late: psycopg.Connection[object]) -> Iterator[None]:
    gid = f"late-{films.source.schema}"
    late.execute(f"PREPARE TRANSACTION '{gid}'".encode())
    late.commit()
    try:
        yield
    finally:
        films.change(f"COMMIT PREPARED '{gid}'")


def test_prepared_heirs() -> None:
    """What is prepared takes the place of an id that is gone; ids that stay, or a prepared one that ends, have no heirs."""
    assert not_ended({"3/7", "4/1"}, {"4/1", "prepared:a:99", "5/5"}) == ("4/1", "prepared:a:99")
    assert not_ended({"3/7", "4/1"}, {"3/7", "4/1", "prepared:a:99"}) == ("3/7", "4/1")
    assert not_ended({"prepared:a:99"}, {"prepared:b:100"}) == ()
    assert not_ended({"3/7"}, {"5/5"}) == ()


def test_uncounted_late_commit(films: Mirror) -> None:
    """A late commit arrives at once although the counters do not show it: its session went straight on into the next transaction."""
    with psycopg.connect(films.databases.source_dsn, autocommit=True) as late:
        late.execute("INSERT INTO film VALUES (999, 'uses up the flush of this second')")
        late.execute("BEGIN; INSERT INTO film VALUES (1000, 'late')")
        films.change("INSERT INTO film VALUES (1001, 'in time')")
        films.cycle()
        films.cycle()
        counted = _inserted(films)
        late.execute("COMMIT; BEGIN; SELECT 1")
        assert _inserted(films) == counted
        summary = films.cycle()
        assert "transactions that were open during an earlier cycle have ended" in summary.reasons
        films.assert_equal()
        late.execute("ROLLBACK")


def test_another_databases_transactions_hold_nothing_back(films: Mirror) -> None:
    """Open and prepared transactions of another database of the same cluster can't write here, and no bound waits for them."""
    server, gid = films.databases.server, f"elsewhere-{films.source.schema}"
    with session(server.dsn("postgres")) as elsewhere, session(server.dsn("postgres")) as preparing:
        elsewhere.execute("SELECT txid_current()")
        preparing.execute("CREATE TABLE written_elsewhere (id int)")
        preparing.execute(f"PREPARE TRANSACTION '{gid}'".encode())
        preparing.commit()
        try:
            films.change("INSERT INTO film VALUES (1001, 'in time')")
            assert films.cycle().held_back_since == ""
            assert films.cycle().outcome == "quiet"
        finally:
            with psycopg.connect(server.dsn("postgres"), autocommit=True) as conn:
                conn.execute(f"ROLLBACK PREPARED '{gid}'".encode())
    films.assert_equal()


def _inserted(films: Mirror) -> int:
    return int(films.databases.in_source("SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'film'")[0][0])


def test_aborted_transaction_lets_the_bound_go(films: Mirror, cursor: str) -> None:
    """An aborted transaction holds nothing back once it has ended, and its rows never come."""
    with session(films.databases.source_dsn) as late:
        late.execute(f"UPDATE film SET v = 'never', c = {_tick(cursor)} WHERE id <= 3".encode())
        films.change("INSERT INTO film VALUES (1001, 'in time')")
        assert films.cycle().held_back_since
        late.rollback()
    _reads_little(films)


def test_no_unbounded_reading(mirror: Callable[..., Mirror]) -> None:
    """While a transaction is open windows start at the old bound; once it has ended they move on and read what is new."""
    films = mirror(_source("bigint"), QUERY, cursor_column="c", lag=0)
    films.cycle()
    with session(films.databases.source_dsn) as late:
        late.execute("INSERT INTO film VALUES (1000, 'late')")
        for n in range(3):
            films.change(f"INSERT INTO film SELECT {2000 + n * 100} + n, 'in time' FROM generate_series(1, 100) n")
            assert films.cycle().read == (n + 1) * 100 + 1, "the ones above the bound, and the tie at it"
        late.commit()
    assert films.cycle().read == 302
    _reads_little(films)


def _reads_little(films: Mirror) -> None:
    """Others' transactions on the server (autovacuum) may take a cycle more; ten are too many."""
    for n in range(10):
        films.change(f"INSERT INTO film VALUES ({5000 + n}, 'afterwards')")
        summary = films.cycle()
        films.assert_equal()
        if summary.read <= 3 and not summary.held_back_since:
            return
    pytest.fail(f"still reads {summary.read} rows, held back since {summary.held_back_since}")


def test_ties_at_the_bound(films: Mirror) -> None:
    """Rows that carry exactly the highest cursor already committed arrive, also several times in a row."""
    for n in range(3):
        films.change(f"INSERT INTO film SELECT {1000 + n}, 'tie', max(c) FROM film")
        films.cycle()
        films.assert_equal()


def test_null_cursors(films: Mirror) -> None:
    """Rows without a cursor arrive, follow changes, and leave."""
    films.change("INSERT INTO film VALUES (1000, 'none', NULL), (1001, 'none', NULL)")
    films.cycle()
    films.assert_equal()
    films.change("UPDATE film SET v = 'changed' WHERE id = 1000; UPDATE film SET c = NULL, v = 'taken away' WHERE id = 5; DELETE FROM film WHERE id = 1001")
    films.cycle()
    films.assert_equal()


def test_only_null_cursors(mirror: Callable[..., Mirror]) -> None:
    """A table in which no row has a cursor is mirrored all the same."""
    films = mirror("CREATE TABLE film (id int PRIMARY KEY, v text, c timestamptz); INSERT INTO film VALUES (1, 'a', NULL)", QUERY, cursor_column="c")
    films.cycle()
    films.assert_equal()
    films.change("UPDATE film SET v = 'b'; INSERT INTO film VALUES (2, 'c', NULL)")
    films.cycle()
    films.assert_equal()


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date"])
@pytest.mark.parametrize("future", ["2099-01-01", "infinity"])
def test_future_cursors_are_no_bound(mirror: Callable[..., Mirror], kind: str, future: str) -> None:
    """A cursor from a wrong clock arrives and hides nothing that comes after it: the bound stays at the source's now."""
    source = f"""CREATE TABLE film (id int PRIMARY KEY, v text, c {kind} DEFAULT now()); CREATE INDEX ON film (c);
                 INSERT INTO film VALUES (1, 'a', now()), (2, 'future', '{future}')"""
    films = mirror(source, QUERY, cursor_column="c", lag=0)
    films.cycle()
    films.assert_equal()
    films.change(f"INSERT INTO film VALUES (3, 'now', now()), (4, 'future', '{future}'), (5, 'past', '-infinity'); UPDATE film SET v = 'again' WHERE id = 2")
    films.change("DELETE FROM film WHERE id = 5")
    films.cycle()
    films.assert_equal()
    films.change("UPDATE film SET v = 'now too', c = now() WHERE id IN (1, 4)")
    films.cycle()
    films.assert_equal()
    assert films.state is not None
    assert (films.state.streams["main"].low or "") < f"{datetime.now(UTC).year + 1}"


def test_lag_covers_clocks_outside(mirror: Callable[..., Mirror]) -> None:
    """A cursor set by an application before its transaction began arrives if it is no older than `lag`."""
    films = mirror(_source("timestamptz"), QUERY, cursor_column="c", lag=60)
    films.cycle()
    films.change("INSERT INTO film VALUES (1000, 'late', now() - interval '55 s')")
    films.cycle()
    films.assert_equal()


@pytest.mark.parametrize("seed", [1, 2])
def test_any_order_of_commits(mirror: Callable[..., Mirror], seed: int) -> None:
    """Many sessions that begin, write and end in any order, with cycles between all of it: after quiet both sides are equal."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    kind = chance.choice(["timestamptz", "bigint"])
    films = mirror(_source(kind), QUERY, cursor_column="c", lag=0)
    films.cycle()
    with ExitStack() as stack:
        free = list(range(6))
        writers = [stack.enter_context(session(films.databases.source_dsn)) for _ in free]
        for step in range(60):
            number = chance.randrange(6)
            writer, own = writers[number], 10_000 * (number + 1)
            match chance.randrange(8):
                case 0 | 1:
                    writer.execute(f"INSERT INTO film VALUES ({own + step}, 'step {step}')".encode())
                case 2:
                    # Each writer has rows of its own, so that none waits for another.
                    writer.execute(f"UPDATE film SET v = 'step {step}', c = {_tick(kind)} WHERE id % 6 = {number}".encode())
                case 3:
                    writer.execute(f"DELETE FROM film WHERE id = (SELECT min(id) FROM film WHERE id > {own} AND id < {own + 10_000})".encode())
                case 4 | 5:
                    writer.commit()
                case 6:
                    writer.rollback()
                case _:
                    films.cycle()
        for writer in writers:
            writer.commit()
    films.change("SELECT 1")
    films.cycle()
    films.assert_equal()
