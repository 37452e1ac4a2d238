"""What one world is made of: tables, query and spec, all from a few choices that read and write as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from querymirror.spec.pipeline import PipelineSpec

WEEK = 604_800  # seconds: no comparison is due by the clock alone, so that nothing is found by chance
QUERIES = ("plain", "filtered", "joined", "inner", "ranked", "grouped")
DIMENSIONS = ("dim", "person")


@dataclass(frozen=True)
class Variant:
    """The choices of one world.

    Attributes:
        key: of the main table: `int`, `bigint` (most of them in one place, some at both ends), `uuid`, `text`, or `pair` of an integer and a quoted
            upper-case name.
        cursor: type of the column `changed`; empty = the spec names no cursor.
        indexed: whether that column has an index.
        query: one of `QUERIES`.
        changes: whether a `joined` query names what its other tables change, and an `inner` one what its other table lets in (not what it sends away).
        delete_missing: of both pipelines.
        lag: seconds.
        batch_size: small ones cut a cycle into several batches.
        partitioned: whether the main table is (by hash).
        elastic: whether an index is kept beside the table.
    """

    key: str = "int"
    cursor: str = "timestamptz"
    indexed: bool = True
    query: str = "plain"
    changes: bool = False
    delete_missing: str = "hard"
    lag: float = 0.0
    batch_size: int = 500_000
    partitioned: bool = False
    elastic: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """Key columns of the main table."""
        return ("id", "Part") if self.key == "pair" else ("id",)

    @property
    def cursor_type(self) -> str:
        """Type of the column `changed`, which every table has."""
        return self.cursor or "timestamptz"

    def ddl(self, schema: str) -> str:
        """Returns the statements that make the tables."""
        types = {"int": ("int",), "bigint": ("bigint",), "uuid": ("uuid",), "text": ("text",), "pair": ("int", "text")}[self.key]
        columns = ", ".join(f'"{name}" {kind}' for name, kind in zip(self.keys, types, strict=True))
        names, values = self.quoted(), "grp int, visible bool, num numeric(10,2), txt text, doc jsonb"
        partition = ' PARTITION BY HASH ("id")' if self.partitioned else ""
        parts = [
            f"CREATE SCHEMA {schema}",
            f"CREATE SEQUENCE {schema}.moment",
            f"CREATE TABLE {schema}.main ({columns}, {values}, changed {self.cursor_type}, PRIMARY KEY ({names})){partition}",
            *(f"CREATE TABLE {schema}.{t} (id int PRIMARY KEY, name text, active bool, changed {self.cursor_type})" for t in DIMENSIONS),
            f"CREATE TABLE {schema}.link ({columns}, person int, role text, changed {self.cursor_type}, PRIMARY KEY ({names}, person))",
        ]
        if self.partitioned:
            parts += [f"CREATE TABLE {schema}.main{i} PARTITION OF {schema}.main FOR VALUES WITH (MODULUS 2, REMAINDER {i})" for i in range(2)]
        if self.indexed:
            parts += [f"CREATE INDEX ON {schema}.{table} (changed)" for table in ("main", *DIMENSIONS, "link")]
        return "; ".join(parts)

    def quoted(self, table: str = "") -> str:
        """Returns the key columns as a list, each with the table's name before it."""
        return ", ".join(f'{table}."{name}"' if table else f'"{name}"' for name in self.keys)

    def sql(self, schema: str, extra: int) -> str:
        """Returns the query; `extra` columns come from edits of the spec."""
        if self.query == "grouped":
            more = "".join(f", count(*) + {i} AS extra{i}" for i in range(extra))
            changed = ", max(changed) AS changed" if self.cursor else ""
            return f"SELECT coalesce(grp, -1) AS grp, count(*) AS n, sum(num) AS total{changed}{more} FROM {schema}.main GROUP BY coalesce(grp, -1)"
        own = f"SELECT {self.quoted('m')}, m.txt, m.num, m.doc, m.changed" + "".join(f", m.grp + {i} AS extra{i}" for i in range(extra))
        same = " AND ".join(f'l."{name}" = m."{name}"' for name in self.keys)
        people = f"ARRAY(SELECT p.name || ':' || l.role FROM {schema}.link l JOIN {schema}.person p ON p.id = l.person WHERE {same} ORDER BY 1)"
        return {
            "plain": f"{own} FROM {schema}.main m",
            "filtered": f"{own} FROM {schema}.main m WHERE m.visible",
            "joined": f"{own}, d.name AS dim_name, {people} AS people FROM {schema}.main m LEFT JOIN {schema}.dim d ON d.id = m.grp",
            "inner": f"{own}, d.name AS dim_name FROM {schema}.main m JOIN {schema}.dim d ON d.id = m.grp WHERE m.visible AND d.active",
            "ranked": f"{own}, row_number() OVER (ORDER BY m.num, {self.quoted('m')}) AS place FROM {schema}.main m",
        }[self.query]

    def changed_keys(self, schema: str) -> list[dict[str, Any]]:
        """Returns the `changes` of the spec."""
        if not self.changes or self.query not in {"joined", "inner"} or not self.cursor:
            return []
        if self.query == "inner":
            stays = "x.active AND x.changed >= %(low)s AND x.changed <= %(high)s"
            text = f"SELECT {self.quoted('m')}, x.changed FROM {schema}.dim x JOIN {schema}.main m ON m.grp = x.id WHERE {stays}"
            return [{"name": "dim", "keys_sql": {"text": text}}]
        same = " AND ".join(f'l."{name}" = m."{name}"' for name in self.keys)
        inside = "x.changed >= %(low)s AND x.changed <= %(high)s"
        return [
            {
                "name": "dim",
                "keys_sql": {"text": f"SELECT {self.quoted('m')}, x.changed FROM {schema}.dim x JOIN {schema}.main m ON m.grp = x.id WHERE {inside}"},
            },
            {
                "name": "person",
                "keys_sql": {
                    "text": f"SELECT {self.quoted('m')}, x.changed FROM {schema}.person x JOIN {schema}.link l ON l.person = x.id"
                    f" JOIN {schema}.main m ON {same} WHERE {inside}"
                },
            },
            {"name": "link", "keys_sql": {"text": f"SELECT {self.quoted('x')}, x.changed FROM {schema}.link x WHERE {inside}"}},
        ]

    def spec(self, schema: str, kind: str, *, extra: int, delete_missing: str, name: str) -> PipelineSpec:
        """Returns one pipeline; `name` is its table or index."""
        target: dict[str, Any] = {"type": "postgres", "conn_id": "analytics_db", "table": name}
        if kind == "elasticsearch":
            # Dates of the mapping don't know infinity, which is one of the cursors to come.
            target = {"type": kind, "conn_id": "movies_es", "index": name, "omit": ["changed"] if self.cursor or self.query != "grouped" else []}
        return PipelineSpec.model_validate(
            {
                "id": f"{schema}_{kind}",
                "source": {
                    "conn_id": "movies_db",
                    "query": {"text": self.sql(schema, extra)},
                    "primary_key": ["grp"] if self.query == "grouped" else list(self.keys),
                    "cursor_column": "changed" if self.cursor else None,
                    "changes": self.changed_keys(schema),
                },
                "target": target,
                "delete_missing": delete_missing,
                "lag": self.lag,
                "batch_size": self.batch_size,
                "reconcile_every": WEEK,
            }
        )


def variants(*, elastic: bool) -> st.SearchStrategy[Variant]:
    """Returns worlds; the simplest ones first, as hypothesis shrinks towards them."""
    return st.builds(
        Variant,
        key=st.sampled_from(["int", "bigint", "uuid", "text", "pair"]),
        cursor=st.sampled_from(["timestamptz", "bigint", "timestamp", ""]),
        indexed=st.booleans(),
        query=st.sampled_from([*QUERIES, "plain", "joined"]),
        changes=st.booleans(),
        delete_missing=st.sampled_from(["hard", "soft"]),
        lag=st.sampled_from([0.0, 0.0, 0.0, 5.0]),
        batch_size=st.sampled_from([500_000, 2]),
        partitioned=st.sampled_from([False, False, False, True]),
        elastic=st.booleans() if elastic else st.just(value=False),
    )
