"""Runs in which the judge, or a reading of the code beside it, found a fault: each is played again as it was found."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from querymirror.errors import TransientError
from querymirror.pg.session import connect_async, translated
from tests.judge.line import STRAYS, Servers
from tests.judge.world import played

pytestmark = pytest.mark.integration

THREE_ROWS = '{"action": "write", "verb": "insert_many", "pick": 1}\n{"action": "settle"}\n'


def play(servers: Servers, variant: str, *actions: str) -> None:
    """Plays a run and settles it; `Unequal` or any other error fails the test."""
    with played(servers, "\n".join([variant, *actions])):
        pass


def test_key_change_in_a_query_without_filter(judge_servers: Servers) -> None:
    """A changed key leaves an orphan though no row was deleted and nothing narrows the query."""
    play(judge_servers, '{"query": "plain"}', THREE_ROWS, '{"action": "write", "verb": "rekey", "pick": 1}')


def test_transaction_prepared_between_two_cycles(judge_servers: Servers) -> None:
    """PREPARE TRANSACTION ends the virtual id, not the transaction: its rows arrive, though they lie below the cursor."""
    play(
        judge_servers,
        '{"query": "plain"}',
        THREE_ROWS,
        '{"action": "write", "verb": "insert", "session": 1, "pick": 1}',
        '{"action": "write", "verb": "insert", "pick": 2}',
        '{"action": "cycle", "line": 0}',
        '{"action": "end", "session": 1, "how": "prepare"}',
        '{"action": "write", "verb": "insert", "pick": 3}',
        '{"action": "cycle", "line": 0}',
        '{"action": "cycle", "line": 0}',
    )


def test_link_moved_to_another_row(judge_servers: Servers) -> None:
    """The row that a moved link left shows in no cursor of `changes`, and is right all the same."""
    play(
        judge_servers,
        '{"query": "joined", "changes": true}',
        '{"action": "write", "verb": "dim", "pick": 1}',
        '{"action": "write", "verb": "dim", "pick": 3}',
        '{"action": "write", "verb": "insert_many", "pick": 1}',
        '{"action": "write", "verb": "link", "pick": 0}',
        '{"action": "settle"}',
        '{"action": "write", "verb": "relink", "pick": 0}',
    )


def test_delete_missing_edited_from_soft_to_hard(judge_servers: Servers) -> None:
    """Rows marked as deleted go once the spec says `hard`."""
    play(
        judge_servers,
        '{"delete_missing": "soft"}',
        THREE_ROWS,
        '{"action": "write", "verb": "delete", "pick": 0}',
        '{"action": "settle"}',
        '{"action": "edit", "extra": 0, "delete_missing": "hard"}',
    )


def test_json_true_is_not_one(judge_servers: Servers) -> None:
    """A document that changes from 1 to true, which Python calls equal, is written."""
    play(
        judge_servers,
        '{"elastic": true}',
        '{"action": "write", "verb": "insert", "pick": 1}',
        '{"action": "settle"}',
        '{"action": "write", "verb": "update", "pick": 0}',
    )


@pytest.mark.parametrize("steps", [pytest.param(n, id=f"after step {n}") for n in range(1, 6)])
@pytest.mark.parametrize("what", ["update", "delete", "empty", "drop"])
@pytest.mark.parametrize("line", [pytest.param(0, id="table"), pytest.param(1, id="index")])
def test_target_touched_between_two_steps(judge_servers: Servers, line: int, what: str, steps: int) -> None:
    """What somebody else does to a target while a cycle runs is noticed by the next one, or stops this one with an error of ours."""
    play(
        judge_servers,
        f'{{"elastic": {"true" if line else "false"}}}',
        THREE_ROWS,
        '{"action": "write", "verb": "update", "pick": 1}',
        f'{{"action": "advance", "line": {line}, "steps": {steps}}}',
        f'{{"action": "touch", "line": {line}, "what": "{what}", "pick": 0}}',
        '{"action": "settle", "finish": true}',
    )


def test_emptied_document_is_marked_as_deleted(judge_servers: Servers) -> None:
    """A soft delete of a document that somebody else emptied."""
    play(
        judge_servers,
        '{"key": "pair", "delete_missing": "soft", "elastic": true}',
        THREE_ROWS,
        '{"action": "write", "verb": "delete", "pick": 0}',
        '{"action": "touch", "line": 1, "what": "update", "pick": 0}',
    )


@pytest.mark.parametrize("key", ["int", "pair"])
@pytest.mark.parametrize("delete_missing", ["hard", "soft"])
def test_stray_documents_with_ids_that_are_no_keys(judge_servers: Servers, key: str, delete_missing: str) -> None:
    """Documents that somebody else wrote go, also where an id is not of the key's type, not of its form, or another spelling of a key."""
    play(
        judge_servers,
        f'{{"key": "{key}", "elastic": true, "delete_missing": "{delete_missing}"}}',
        THREE_ROWS,
        *(f'{{"action": "touch", "line": 1, "what": "insert", "pick": {pick}}}' for pick in range(len(STRAYS))),
    )


def test_quiet_after_all_rows_with_a_cursor_went(judge_servers: Servers) -> None:
    """Transactions that ended are forgotten, though no row has a cursor any more that could become a bound."""
    play(
        judge_servers,
        '{"query": "grouped", "cursor": "timestamp"}',
        '{"action": "write", "verb": "insert", "pick": 6}',
        '{"action": "write", "verb": "insert", "session": 3, "how": "future", "pick": 3}',
        '{"action": "cycle", "line": 0}',
        '{"action": "write", "verb": "update", "how": "infinity", "pick": 31}',
    )


@pytest.mark.parametrize("cursor", ["timestamp", "timestamptz"])
def test_window_with_infinite_cursors_cut_into_batches(judge_servers: Servers, cursor: str) -> None:
    """Bounds between batches may be values that Python has no form for."""
    play(
        judge_servers,
        f'{{"cursor": "{cursor}", "batch_size": 2}}',
        THREE_ROWS,
        *['{"action": "write", "verb": "insert_many", "how": "infinity", "pick": 4}'] * 3,
        '{"action": "maintain", "what": "analyze"}',
        '{"action": "settle"}',
        '{"action": "write", "verb": "insert_many", "how": "infinity", "pick": 4}',
    )


def test_session_ended_between_two_statements(judge_servers: Servers) -> None:
    """Asyncpg takes a session that the administrator ends at this moment for a fault of its own; to us the connection is lost."""

    def end(pid: int) -> None:
        with psycopg.connect(judge_servers.source_dsn, autocommit=True) as conn:
            conn.execute("SELECT pg_terminate_backend(%s)", [pid])

    async def two_statements() -> None:
        conn = await connect_async(judge_servers.source, read_only=True, statement_timeout=10)
        try:
            first = asyncio.create_task(conn.execute("SELECT 1"))
            await asyncio.sleep(0)
            with ThreadPoolExecutor(1) as pool:
                pool.submit(end, conn.get_server_pid()).result()
            time.sleep(0.1)  # noqa: ASYNC251 - the answer and the end of the session must wait for this thread together
            await first
            await conn.execute("SELECT 2")
        finally:
            conn.terminate()

    with pytest.raises(TransientError, match=r"connection lost|connection was closed|terminating connection"), translated("movies_db"):
        asyncio.run(two_statements())


@pytest.mark.parametrize("elastic", ["false", "true"])
def test_row_that_a_change_sends_away_unnamed(judge_servers: Servers, elastic: str) -> None:
    """A joined row that is switched off takes rows along which its `keys_sql` does not name, on both kinds of target."""
    on = [f'{{"action": "write", "verb": "dim", "pick": {pick}}}' for pick in (8, 10, 20, 14)]
    off = [f'{{"action": "write", "verb": "dim", "pick": {pick}}}' for pick in (0, 18, 12, 6)]
    variant = f'{{"query": "inner", "changes": true, "elastic": {elastic}}}'
    play(judge_servers, variant, *on, '{"action": "write", "verb": "insert_many", "pick": 1}', '{"action": "settle"}', *off)
