"""One pipeline of a world: whole cycles, cycles step by step, broken cycles, a touched target, and the comparison of every row."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from elasticsearch import Elasticsearch, NotFoundError
from psycopg import sql

from querymirror.connections import Address
from querymirror.errors import PipelineError, TransientError
from querymirror.records import BatchResult, CycleSummary, Detection, Ensured, Extraction, OrphanResult, RunRequest
from querymirror.runtime import open_cycle
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.settings import AllowedTarget, Settings
from querymirror.state.memory import MemoryStateStore
from querymirror.sync.cycle import Cycle, run_cycle
from tests.fixtures.fix_tcp_proxy import TcpProxy

SETTINGS = Settings(allowed_targets=(AllowedTarget(conn_id="analytics_db", tables=("*",)), AllowedTarget(conn_id="movies_es", indices=("*",))))
# Ids that somebody else may give a document: not of the key's type, not of its form, or another spelling of a key that there is.
STRAYS = ("stray", '["stray", "x"]', '["1","p\'1\\" \\\\é"]', "{", "[1, 2]", '["1", null]', "007")
_TEXT = "SET TimeZone TO 'UTC'; SET extra_float_digits TO 1"


@dataclass(frozen=True)
class Servers:
    """What a world runs on.

    Attributes:
        source, target: as pipelines get them: a role that may only read, and one that owns the target.
        source_dsn, target_dsn: of the superuser.
        elastic: as pipelines get it; None = no world has an index.
        elastic_url: for the judge itself.
        prefix: of all names, so that sessions may share the servers.
    """

    source: Address
    target: Address
    source_dsn: str
    target_dsn: str
    elastic: Address | None = None
    elastic_url: str = ""
    prefix: str = "judge"


class Line:
    """One pipeline.

    Args:
        servers: to run on.
        kind: of its target: `postgres` or `elasticsearch`.
        spec: makes the pipeline's spec as it stands now.
    """

    def __init__(self, servers: Servers, kind: str, spec: Callable[[], PipelineSpec]) -> None:
        self.servers, self.kind, self._make_spec = servers, kind, spec
        self.store = MemoryStateStore()
        self._steps: Iterator[str] | None = None
        self._runs = 0
        self.touched_midway = False  # since the last cycle that began after it
        self.cycles: Counter[str] = Counter()

    @property
    def in_flight(self) -> bool:
        """Whether a cycle stands between two of its steps."""
        return self._steps is not None

    @property
    def spec(self) -> PipelineSpec:
        """The spec as it stands now."""
        return self._make_spec()

    def _target(self) -> Address:
        if self.kind == "postgres":
            return self.servers.target
        if self.servers.elastic is None:
            raise ValueError("a world with an index needs an Elasticsearch")
        return self.servers.elastic

    def _open(self, spec: PipelineSpec, source: Address | None = None, target: Address | None = None) -> Cycle:
        return open_cycle(spec, source=source or self.servers.source, target=target or self._target(), settings=SETTINGS)

    def _request(self, mode: str) -> RunRequest:
        self._runs += 1
        return RunRequest.model_validate({"run_id": f"judge__{self._runs}", "mode": mode})

    def whole(self, mode: str = "incremental", source: Address | None = None, target: Address | None = None) -> CycleSummary:
        """Runs a whole cycle as the command line does; one that is under way is given up before."""
        self._steps = None
        with self._open(self.spec, source, target) as cycle:
            summary = run_cycle(cycle, self.store, self._request(mode))
        self.cycles[summary.outcome] += 1
        return summary

    def advance(self, steps: int, mode: str = "incremental") -> None:
        """Runs some steps of the cycle that is under way, or of a new one, each in sessions of its own as Airflow's tasks have them."""
        if self._steps is None:
            self._steps = self._stepwise(self._request(mode))
        try:
            for _ in range(steps):
                if next(self._steps, None) is None:
                    self._steps = None
                    self.cycles["stepwise"] += 1
                    return
        except BaseException:
            self._steps = None
            raise

    def abandon(self) -> None:
        """Gives up the cycle that is under way, as a crash between two steps does."""
        if self._steps is not None:
            self.cycles["abandoned"] += 1
        self._steps = None

    def _stepwise(self, request: RunRequest) -> Iterator[str]:
        spec = self.spec
        state = self.store.read(spec.id)
        with self._open(spec) as cycle:
            detection = Detection.from_json(cycle.detect(state, request).to_json())
        yield "detect"
        if not detection.changed:
            return
        with self._open(spec) as cycle:
            ensured = Ensured.from_json(cycle.ensure(state, request, detection).to_json())
        yield "ensure"
        with self._open(spec) as cycle:
            extraction = Extraction.from_json(cycle.extract(state, request, detection, ensured).to_json())
        yield "extract"
        results: list[BatchResult] = []
        for batch in extraction.batches:
            with self._open(spec) as cycle:
                results.append(cycle.upsert(batch, request, ensured))
            yield "upsert"
        with self._open(spec) as cycle:
            orphans = OrphanResult.from_json(cycle.delete_orphans(request, detection, ensured, extraction).to_json())
        yield "delete_orphans"
        with self._open(spec) as cycle:
            after, _ = cycle.commit(state, request, detection=detection, ensured=ensured, extraction=extraction, results=results, orphans=orphans)
        yield "commit"
        if after is not None:
            self.store.write(spec.id, after)

    def cut(self, side: str, count: int) -> None:
        """Runs a cycle whose connections to one side break after `count` bytes and are refused from then on."""
        address = self.servers.source if side == "source" else self._target()
        proxy = TcpProxy(address.port or 0)
        try:
            proxy.cut_after(count)
            through = proxy.through(address)
            self._broken(source=through if side == "source" else None, target=through if side == "target" else None)
        finally:
            proxy.close()

    def kill(self, delay: float) -> None:
        """Runs a cycle whose PostgreSQL sessions are all ended by the administrator after `delay` seconds."""
        with psycopg.connect(self.servers.source_dsn, autocommit=True) as conn:
            query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'querymirror' AND datname = ANY(%s)"
            databases = [self.servers.source.schema, self.servers.target.schema]
            timer = threading.Timer(delay, lambda: conn.execute(query, [databases]))
            timer.start()
            try:
                self._broken(source=None, target=None)
            finally:
                timer.join()

    def _broken(self, *, source: Address | None, target: Address | None) -> None:
        try:
            self.whole(source=source, target=target)
            self.cycles["unbroken"] += 1
        except TransientError:
            self.cycles["broken"] += 1

    def touch(self, what: str, pick: int) -> None:
        """Changes the target as somebody else would: `update`, `delete`, `insert`, `empty` or `drop`."""
        self.touched_midway = self.touched_midway or self.in_flight
        if self.kind == "postgres":
            self._touch_table(what, pick)
        else:
            self._touch_index(what, pick)

    def forge(self) -> None:
        """Changes the target in a way that no cycle can notice: the state says that it was so."""
        self.touch("update", 0)
        state = self.store.read(self.spec.id)
        with self._open(self.spec) as cycle:
            identity = cycle.target.identity()
        if state is not None:
            self.store.write(self.spec.id, state.model_copy(update={"target_identity": identity or {}}))

    @property
    def _table(self) -> sql.Identifier:
        return sql.Identifier(*getattr(self.spec.target, "table", "").split("."))

    def _touch_table(self, what: str, pick: int) -> None:
        column = sql.Identifier("total" if "total" in self.spec.source.query.text else "num")
        row = sql.SQL("ctid = (SELECT ctid FROM {t} ORDER BY 1 OFFSET {n} LIMIT 1)").format(t=self._table, n=sql.Literal(pick % 5))
        statement = {
            "update": sql.SQL("UPDATE {t} SET {c} = 77.77 WHERE {r}"),
            "delete": sql.SQL("DELETE FROM {t} WHERE {r}"),
            "insert": sql.SQL("UPDATE {t} SET {k} = {s} WHERE {r}"),
            "empty": sql.SQL("TRUNCATE {t}"),
            "drop": sql.SQL("DROP TABLE {t}"),
        }[what]
        with psycopg.connect(self.servers.target_dsn, autocommit=True) as conn:
            if conn.execute("SELECT to_regclass(%s)", [getattr(self.spec.target, "table", "")]).fetchone() != (None,):
                key = self.spec.source.primary_key[0]
                with contextlib.suppress(psycopg.errors.UniqueViolation):  # the stray of an earlier touch is there still
                    conn.execute(statement.format(t=self._table, c=column, r=row, k=sql.Identifier(key), s=self._stray(conn, key)))

    def _stray(self, conn: psycopg.Connection[Any], key: str) -> sql.Composable:
        """Returns a key that the source never has, so that a row that gets it is one too many, and its own is missing."""
        kind = conn.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(self._table))
        oid = next(c.type_code for c in kind.description or () if c.name == key)
        text = {"int4": "100000", "int8": str(2**63 - 1), "uuid": "ffffffff-ffff-ffff-ffff-ffffffffffff"}.get(psycopg.adapters.types[oid].name, "stray")
        return sql.Literal(text)

    def _touch_index(self, what: str, pick: int) -> None:
        alias = getattr(self.spec.target, "index", "")
        with self._client() as client:
            try:
                physical = next(iter(client.indices.get_alias(name=alias)))
            except NotFoundError:
                return
            client.indices.refresh(index=physical)
            ids = sorted(hit["_id"] for hit in client.search(index=physical, size=100, source=False)["hits"]["hits"])
            if what == "drop":
                client.indices.delete(index=physical)
            elif what == "empty":
                client.bulk(index=physical, operations=[{"delete": {"_id": i}} for i in ids] or [{"delete": {"_id": "nobody"}}])
            elif ids and what == "delete":
                client.delete(index=physical, id=ids[pick % len(ids)])
            elif ids:
                client.index(index=physical, id=ids[pick % len(ids)] if what == "update" else STRAYS[pick % len(STRAYS)], document={})

    def _client(self) -> Elasticsearch:
        return Elasticsearch(self.servers.elastic_url, request_timeout=30)

    def differences(self) -> list[str]:
        """Compares every row of the query with every row of the target, both ways; returns what differs, in words."""
        ours, theirs = self._rows_of_table() if self.kind == "postgres" else self._rows_of_index()
        missing, extra = ours - theirs, theirs - ours
        return [f"missing {row}" for row in sorted(missing)] + [f"too many {row}" for row in sorted(extra)]

    def _rows_of_table(self) -> tuple[Counter[str], Counter[str]]:
        query = sql.SQL(self.spec.source.query.text)
        with psycopg.connect(self.servers.source_dsn, autocommit=True) as conn:
            conn.execute(_TEXT)
            names = [c.name for c in conn.execute(sql.SQL("SELECT * FROM ({}) q LIMIT 0").format(query)).description or ()]
            columns = sql.SQL(", ").join(sql.Identifier(n) for n in names)
            ours = Counter(row[0] for row in conn.execute(sql.SQL("SELECT ROW({})::text FROM ({}) q").format(columns, query)))
        live = sql.SQL("WHERE deleted_at IS NULL") if self.spec.delete_missing == "soft" else sql.SQL("")
        with psycopg.connect(self.servers.target_dsn, autocommit=True) as conn:
            conn.execute(_TEXT)
            theirs = Counter(row[0] for row in conn.execute(sql.SQL("SELECT ROW({})::text FROM {} {}").format(columns, self._table, live)))
        return ours, theirs

    def _rows_of_index(self) -> tuple[Counter[str], Counter[str]]:
        with psycopg.connect(self.servers.source_dsn, autocommit=True) as conn:
            conn.execute(_TEXT)
            rows = conn.execute(sql.SQL("SELECT row_to_json(q)::text FROM ({}) q").format(sql.SQL(self.spec.source.query.text))).fetchall()
        omitted = self.spec.target.omit
        ours = Counter(_canonical({k: v for k, v in json.loads(row[0]).items() if k not in omitted}) for row in rows)
        alias = getattr(self.spec.target, "index", "")
        with self._client() as client:
            client.indices.refresh(index=alias)
            found = [hit["_source"] for hit in client.search(index=alias, size=10_000)["hits"]["hits"]]
        live = [d for d in found if self.spec.delete_missing != "soft" or d.get("deleted_at") is None]
        return ours, Counter(_canonical(d) for d in live)

    def expect_refusal(self, work: Callable[[], object]) -> bool:
        """Runs work that somebody's change of the target may stop; only an error of ours is right then. Returns whether it went through."""
        try:
            work()
        except PipelineError:
            self._steps = None
            return False
        return True


def _canonical(document: dict[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, ensure_ascii=False)
