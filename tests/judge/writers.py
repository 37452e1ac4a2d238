"""The source's writers: one session that commits at once and reports its counters late, and some with long transactions."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from tests.judge.variant import DIMENSIONS, Variant

AT_ONCE = 0  # the session that commits every statement
SESSIONS = 3  # with transactions that stay open
VERBS = ("insert", "insert_many", "update", "delete", "rekey", "swap", "toggle", "regroup", "dim", "dim_delete", "dim_rekey", "link", "unlink", "relink")
# What stands in for writes to tables that the query does not read.
_MAIN_VERBS = ("insert", "update", "delete", "rekey", "swap", "toggle", "regroup")
# Images that a careless comparison calls equal, and characters that a careless format breaks.
DOCUMENTS: tuple[Any, ...] = (None, {"a": 1}, {"a": True}, {"a": 1.0}, {"a": [1, None, "é\u2028\n\t\"'\\"]}, {"a": 0}, {"a": False}, [])
MOST_PREPARED = 3  # max_prepared_transactions is for the whole server
LOCK_TIMEOUT = 30  # milliseconds; one thread plays all writers, so nobody would ever let go
_SKIPPED = (psycopg.errors.LockNotAvailable, psycopg.errors.UniqueViolation, psycopg.errors.DeadlockDetected, psycopg.errors.ObjectInUse)


@dataclass(frozen=True)
class Given:
    """What a write is given besides its verb.

    Attributes:
        how: the row's cursor is set: `now`, `clock`, `tie`, `null`, `future` or `infinity`.
        pick: which row or value, by chance.
        reuse: whether a new key may be one that was there before.
    """

    how: str
    pick: int
    reuse: bool = False


def fitting(verb: str, variant: Variant) -> str:
    """Returns the verb, or one of the main table where the query reads no other."""
    others = VERBS.index("dim")
    number = VERBS.index(verb) if verb in VERBS else 0
    if number < others or variant.query in {"joined", "inner"}:
        return verb
    return _MAIN_VERBS[(number - others) % len(_MAIN_VERBS)]


class Writers:
    """All that writes the source of one world.

    Args:
        dsn: of the source, as superuser.
        variant: of the world.
        schema: of the world.
    """

    def __init__(self, dsn: str, variant: Variant, schema: str) -> None:
        self._dsn, self._variant, self._schema = dsn, variant, schema
        self._conns: dict[int, psycopg.Connection[Any]] = {}
        self.open: set[int] = set()
        self.prepared: list[str] = []
        self._made = 0  # keys so far
        self._top: int | None = None  # the highest cursor ever given, in microseconds or as a number
        self._writes = 0
        self._names = 0

    def conn(self, session: int) -> psycopg.Connection[Any]:
        """Returns a session, opened when it is first used."""
        if session not in self._conns:
            self._conns[session] = psycopg.connect(self._dsn, autocommit=True, application_name=f"judge{session}")
            self._conns[session].execute(f"SET search_path TO {self._schema}; SET lock_timeout = {LOCK_TIMEOUT}; SET TimeZone TO 'UTC'".encode())
        return self._conns[session]

    def write(self, session: int, verb: str, given: Given) -> bool:
        """Runs one statement; returns whether it did anything. A lock that somebody holds is no error, the statement is left out."""
        conn = self.conn(session)
        if session != AT_ONCE and session not in self.open:
            conn.execute("BEGIN")
            self.open.add(session)
        self._writes += 1
        work: Callable[[psycopg.Connection[Any], Given], None] = getattr(self, f"_{verb}")
        with self._skipping(conn) as done:
            work(conn, given)
        return done[0]

    @contextlib.contextmanager
    def _skipping(self, conn: psycopg.Connection[Any]) -> Iterator[list[bool]]:
        done = [False]
        with contextlib.suppress(*_SKIPPED), conn.transaction():
            yield done
            done[0] = True

    def end(self, session: int, how: str) -> None:
        """Ends a session's transaction: `commit`, `rollback`, `prepare`, or `close`, which loses the connection with the transaction."""
        if how == "close" and session in self._conns:
            self._conns.pop(session).close()
            self.open.discard(session)
        if session not in self.open:
            return
        self.open.discard(session)
        if how != "prepare" or len(self.prepared) >= MOST_PREPARED:
            self.conn(session).execute("ROLLBACK" if how == "rollback" else "COMMIT")
            return
        self._names += 1
        name = f"{self._schema}_{self._names}"
        self.conn(session).execute(f"PREPARE TRANSACTION '{name}'".encode())
        self.prepared.append(name)

    def decide(self, pick: int, *, commit: bool) -> None:
        """Ends a prepared transaction."""
        if self.prepared:
            name = self.prepared.pop(pick % len(self.prepared))
            self.conn(AT_ONCE).execute(f"{'COMMIT' if commit else 'ROLLBACK'} PREPARED '{name}'".encode())

    def truncate(self, *, refill: int) -> bool:
        """Empties the main table and fills it again in one transaction."""
        conn = self.conn(AT_ONCE)
        with self._skipping(conn) as done:
            conn.execute("TRUNCATE main")
            for number in range(refill):
                self._insert(conn, Given("now", number, reuse=True))
        return done[0]

    def maintain(self, what: str) -> bool:
        """Does what an administrator does: `analyze`, `vacuum full`, `reset` of all counters."""
        statement = {"analyze": "ANALYZE main, link", "vacuum full": "VACUUM FULL main", "reset": "SELECT pg_stat_reset()"}[what]
        try:
            self.conn(AT_ONCE).execute(statement.encode())
        except _SKIPPED:
            return False
        return True

    def quiet(self, *, commit: bool) -> None:
        """Ends every transaction and makes every session report its counters."""
        for session in sorted(self.open):
            self.end(session, "commit" if commit else "rollback")
        while self.prepared:
            self.decide(0, commit=commit)
        for conn in self._conns.values():
            conn.execute("SELECT pg_stat_force_next_flush()")

    def close(self) -> None:
        """Ends all sessions and what they prepared."""
        while self.prepared:
            self.decide(0, commit=False)
        for conn in self._conns.values():
            conn.close()

    def _new_key(self, given: Given) -> list[Any]:
        if not given.reuse or not self._made:
            self._made += 1
            return self._key(self._made)
        return self._key(given.pick % self._made + 1)

    def _key(self, n: int) -> list[Any]:
        if self._variant.key == "pair":
            return [n % 5, f"p'{n}\" \\é"]
        odd = (f"k{n}", f"É {n}", f"a'b\"{n}\\", f"t\t{n}\n", f"{n}%s")
        return [{"int": n * 3 - 7, "bigint": _scattered(n), "uuid": uuid.UUID(int=n << 64 | n), "text": odd[n % len(odd)]}[self._variant.key]]

    def _moment(self, how: str) -> str:
        """Returns the SQL of a cursor value that may be written now without breaking the cursor's contract."""
        if how == "null":
            return "NULL"
        if how == "tie" and self._top is not None:
            return str(self._top) if self._variant.cursor_type == "bigint" else f"'epoch'::{self._variant.cursor_type} + {self._top} * interval '1 us'"
        if self._variant.cursor_type == "bigint":
            return "nextval('moment')"
        return {"clock": "clock_timestamp()", "future": "now() + interval '1 hour'", "infinity": "'infinity'"}.get(how, "now()")

    def _run(self, conn: psycopg.Connection[Any], statement: str, params: list[Any]) -> None:
        """Runs a write that returns `changed`, and keeps the highest."""
        if self._variant.cursor_type == "bigint":
            top = "max(changed)"
        else:
            top = "max((extract(epoch FROM changed) * 1000000)::bigint) FILTER (WHERE isfinite(changed) AND changed <= clock_timestamp())"
        # psycopg takes %s for a parameter; keys that hold it come as parameters.
        query = f"WITH w AS ({statement} RETURNING changed) SELECT {top} FROM w"
        row = conn.execute(query.encode(), params).fetchone()
        if row and row[0] is not None:
            self._top = max(self._top or row[0], row[0])

    def _row(self, conn: psycopg.Connection[Any], table: str, pick: int, keys: str) -> tuple[Any, ...] | None:
        """Returns the key of one of a table's rows."""
        count = conn.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
        if not count or not count[0]:
            return None
        query = f"SELECT {keys} FROM {table} ORDER BY {keys} OFFSET {pick % count[0]} LIMIT 1"
        return conn.execute(query.encode()).fetchone()

    @property
    def _where(self) -> str:
        return " AND ".join(f'"{name}" = %s' for name in self._variant.keys)

    @property
    def _keys(self) -> str:
        return self._variant.quoted()

    def _insert(self, conn: psycopg.Connection[Any], given: Given) -> None:
        key = self._new_key(given)
        marks = ", ".join(["%s"] * len(key))
        values = [*key, given.pick % 4 or None, given.pick % 3 != 0, given.pick / 10, f"t{self._writes}", Jsonb(DOCUMENTS[given.pick % len(DOCUMENTS)])]
        self._run(conn, f"INSERT INTO main VALUES ({marks}, %s, %s, %s, %s, %s, {self._moment(given.how)})", values)

    def _insert_many(self, conn: psycopg.Connection[Any], given: Given) -> None:
        for number in range(3 + given.pick % 5):
            self._insert(conn, Given(given.how, given.pick + number, reuse=given.reuse and number % 2 == 0))

    def _change(self, conn: psycopg.Connection[Any], given: Given, what: str, params: list[Any]) -> None:
        if (key := self._row(conn, "main", given.pick, self._keys)) is not None:
            self._run(conn, f"UPDATE main SET {what}, changed = {self._moment(given.how)} WHERE {self._where}", [*params, *key])

    def _joined_how(self, given: Given) -> str:
        """A window of `changes` is asked for values; NULL in its cursor is outside its contract."""
        return "now" if given.how == "null" and self._variant.changes else given.how

    def _update(self, conn: psycopg.Connection[Any], given: Given) -> None:
        document = Jsonb(DOCUMENTS[(given.pick + self._writes) % len(DOCUMENTS)])
        self._change(conn, given, "doc = %s, txt = CASE WHEN %s THEN txt ELSE %s END", [document, given.pick % 2 == 0, f"u{self._writes}"])

    def _silent(self, conn: psycopg.Connection[Any], given: Given) -> None:
        if (key := self._row(conn, "main", given.pick, self._keys)) is not None:
            conn.execute(f"UPDATE main SET txt = %s WHERE {self._where}".encode(), [f"s{self._writes}", *key])

    def _toggle(self, conn: psycopg.Connection[Any], given: Given) -> None:
        self._change(conn, given, "visible = NOT visible", [])

    def _regroup(self, conn: psycopg.Connection[Any], given: Given) -> None:
        self._change(conn, given, "grp = %s", [(given.pick + self._writes) % 4 or None])

    def _rekey(self, conn: psycopg.Connection[Any], given: Given) -> None:
        sets = ", ".join(f'"{name}" = %s' for name in self._variant.keys)
        self._change(conn, given, sets, self._new_key(given))

    def _swap(self, conn: psycopg.Connection[Any], given: Given) -> None:
        """Deletes a row and inserts another under its key."""
        if (key := self._row(conn, "main", given.pick, self._keys)) is not None:
            conn.execute(f"DELETE FROM main WHERE {self._where}".encode(), key)
            marks = ", ".join(["%s"] * len(key))
            self._run(conn, f"INSERT INTO main VALUES ({marks}, 1, true, 7, %s, NULL, {self._moment(given.how)})", [*key, f"w{self._writes}"])

    def _delete(self, conn: psycopg.Connection[Any], given: Given) -> None:
        if (key := self._row(conn, "main", given.pick, self._keys)) is not None:
            conn.execute(f"DELETE FROM main WHERE {self._where}".encode(), key)

    def _dim(self, conn: psycopg.Connection[Any], given: Given) -> None:
        table = DIMENSIONS[given.pick % 2]
        values = f"{1 + given.pick // 2 % 4}, 'n{self._writes}', {given.pick % 3 != 0}, {self._moment(self._joined_how(given))}"
        again = "ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, active = EXCLUDED.active, changed = EXCLUDED.changed"
        self._run(conn, f"INSERT INTO {table} VALUES ({values}) {again}", [])

    def _dim_delete(self, conn: psycopg.Connection[Any], given: Given) -> None:
        table = DIMENSIONS[given.pick % 2]
        conn.execute(f"DELETE FROM {table} WHERE id = {1 + given.pick // 2 % 4}".encode())

    def _dim_rekey(self, conn: psycopg.Connection[Any], given: Given) -> None:
        table, changed = DIMENSIONS[given.pick % 2], self._moment(self._joined_how(given))
        self._run(conn, f"UPDATE {table} SET id = {1 + given.pick // 8 % 4}, changed = {changed} WHERE id = {1 + given.pick // 2 % 4}", [])

    def _link(self, conn: psycopg.Connection[Any], given: Given) -> None:
        if (key := self._row(conn, "main", given.pick, self._keys)) is not None:
            values = f"{', '.join(['%s'] * len(key))}, {1 + given.pick % 4}, %s, {self._moment(self._joined_how(given))}"
            again = f"ON CONFLICT ({self._keys}, person) DO UPDATE SET role = EXCLUDED.role, changed = EXCLUDED.changed"
            self._run(conn, f"INSERT INTO link VALUES ({values}) {again}", [*key, f"r{self._writes}"])

    def _unlink(self, conn: psycopg.Connection[Any], given: Given) -> None:
        if (key := self._row(conn, "link", given.pick, f"{self._keys}, person")) is not None:
            conn.execute(f"DELETE FROM link WHERE {self._where} AND person = %s".encode(), key)

    def _relink(self, conn: psycopg.Connection[Any], given: Given) -> None:
        """A link that now belongs to another row: the one it left shows in no cursor."""
        link, to = self._row(conn, "link", given.pick, f"{self._keys}, person"), self._row(conn, "main", given.pick + 1, self._keys)
        if link is not None and to is not None:
            sets = ", ".join(f'"{name}" = %s' for name in self._variant.keys)
            changed = self._moment(self._joined_how(given))
            self._run(conn, f"UPDATE link SET {sets}, changed = {changed} WHERE {self._where} AND person = %s", [*to, *link])


def _scattered(n: int) -> int:
    """Returns integers of which every third is far from the others, some of them next to the last that a bigint holds."""
    return {3: 2**63 - 1 - n, 4: n - 2**63, 5: -n << 40}.get(n % 9, n * 3 - 7)
