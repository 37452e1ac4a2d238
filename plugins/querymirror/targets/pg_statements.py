"""SQL that writes and compares the target table; composition only, nothing runs here."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from querymirror.buckets import INTEGERS, Buckets, Span
from querymirror.facts import Shape, WireColumn
from querymirror.pg.bucketing import Bucketing, ends
from querymirror.pg.hashing import content_hash, equal_is_same, key_hash
from querymirror.targets.pg_catalog import DELETED_AT, TableColumn

STAGE = sql.Identifier("querymirror_stage")
ROW_NUMBER = sql.Identifier("querymirror_row")


def _type(name: str) -> sql.SQL:
    return sql.SQL(name)


def _cast(column: sql.Identifier, has: str, wanted: str) -> sql.Composable:
    return column if has == wanted else sql.SQL("CAST({} AS {})").format(column, _type(wanted))


class Statements:
    """The statements for one table and one shape.

    Args:
        table: its identifier.
        own: its columns, by name.
        shape: the rows that come.
        keys: names of the conflict columns in the table.
        soft: whether orphans are marked in `deleted_at` instead of deleted.
    """

    def __init__(self, table: sql.Identifier, own: dict[str, TableColumn], shape: Shape, *, keys: Sequence[str], soft: bool) -> None:
        self._table, self._own, self.shape, self._keys, self._soft = table, own, shape, tuple(keys), soft
        self._by_name = {w.name: w for w in shape.columns}

    @property
    def copies_straight(self) -> bool:
        """Whether the rows' wire form is the table's own, so that COPY may write the table itself."""
        return all(w.type == w.compared_as and self._own[w.target].builtin for w in self.shape.columns)

    def create_stage(self) -> sql.Composed:
        """Returns the staging table: columns as they travel, named as in the target."""
        fields = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(w.target), _type(w.type)) for w in self.shape.columns)
        return sql.SQL("CREATE TEMP TABLE {} ({}) ON COMMIT DROP").format(STAGE, fields)

    def analyze_stage(self) -> sql.Composed:
        """Returns the statement that counts the staged rows and looks at their keys."""
        return sql.SQL("ANALYZE {} ({})").format(STAGE, sql.SQL(", ").join(map(sql.Identifier, self._keys)))

    def merge(self, *, numbered: bool = False) -> sql.Composed:
        """Returns the statement that writes the staged rows that differ, and no others.

        `numbered` takes the rows whose number lies between the bounds `{low}` and `{high}` that the caller fills in.
        Images are compared (`record_image_ne`), which tells apart what `=` does not (1.0 and 1.00, citext) and needs no equality operator (json).
        """
        names = sql.SQL(", ").join(sql.Identifier(w.target) for w in self.shape.columns)
        values = sql.SQL(", ").join(self._stored(w) for w in self.shape.columns)
        numbers = sql.SQL(" AND s.{} BETWEEN $1 AND $2").format(ROW_NUMBER) if numbered else sql.SQL("")
        return sql.SQL("INSERT INTO {} AS t ({}) {}{} {}").format(self._table, names, self._selected(values), numbers, self._on_conflict())

    def _selected(self, values: sql.Composable) -> sql.Composed:
        """Returns the query of the staged rows that the table lacks or has otherwise."""
        on = sql.SQL(" AND ").join(sql.SQL("{} = {}").format(sql.Identifier("t", k), self._stored_key(k)) for k in self._keys)
        missing = sql.SQL("{} IS NULL").format(sql.Identifier("t", self._keys[0]))
        return sql.SQL("SELECT {} FROM {} AS s LEFT JOIN {} AS t ON {} WHERE ({} OR {})").format(values, STAGE, self._table, on, missing, self._different())

    def differences(self, limit: int) -> sql.Composed:
        """Returns a query of how many staged rows `merge` would write, and of a few of their keys."""
        keys = sql.SQL(", ").join(sql.Identifier("s", k) for k in self._keys)
        missing = sql.SQL("{} IS NULL").format(sql.Identifier("t", self._keys[0]))
        described = sql.SQL("CASE WHEN {} THEN 'missing ' ELSE 'different ' END || concat_ws(', ', {})").format(missing, keys)
        return sql.SQL("SELECT count(*), (array_agg(k))[1:{}] FROM ({}) AS w(k)").format(sql.Literal(limit), self._selected(described))

    def merge_with_samples(self, limit: int) -> sql.Composed:
        """Returns the merge as a query of how many rows it wrote and of a few of their keys."""
        keys = sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(k)) for k in self._keys)
        described = sql.SQL("CASE WHEN t.xmax = 0 THEN 'missing ' ELSE 'different ' END || concat_ws(', ', {})").format(keys)
        return sql.SQL("WITH w(k) AS ({} RETURNING {}) SELECT count(*), (array_agg(k))[1:{}] FROM w").format(self.merge(), described, sql.Literal(limit))

    def _different(self) -> sql.Composable:
        compared = self._overwritten()
        tests: list[sql.Composable] = []
        if compared:
            mine = sql.SQL(", ").join(_cast(sql.Identifier("s", w.target), w.type, w.compared_as) for w in compared)
            theirs = sql.SQL(", ").join(self.stored_value(w) for w in compared)
            tests.append(sql.SQL("record_image_ne(ROW({}), ROW({}))").format(mine, theirs))
        if self._soft:
            tests.append(sql.SQL("{} IS NOT NULL").format(sql.Identifier("t", DELETED_AT)))
        return sql.SQL(" OR ").join(tests) if tests else sql.SQL("false")

    def _overwritten(self) -> list[WireColumn]:
        """The key too, where an equal key can look different."""
        same = {k for k in self._keys if equal_is_same(self._own[k].type)}
        return [w for w in self.shape.columns if w.compared and w.target not in same]

    def _on_conflict(self) -> sql.Composed:
        keys = sql.SQL(", ").join(sql.Identifier(k) for k in self._keys)
        names = [w.target for w in self._overwritten()]
        sets = [sql.SQL("{} = EXCLUDED.{}").format(sql.Identifier(n), sql.Identifier(n)) for n in names]
        if self._soft:
            sets.append(sql.SQL("{} = NULL").format(sql.Identifier(DELETED_AT)))
        action = sql.SQL("DO UPDATE SET {}").format(sql.SQL(", ").join(sets)) if sets else sql.SQL("DO NOTHING")
        return sql.SQL("ON CONFLICT ({}) {}").format(keys, action)

    def _stored(self, wire: WireColumn) -> sql.Composable:
        """The staged value as the INSERT gives it: built-in types by assignment (which checks lengths), others by a cast."""
        there = self._own[wire.target]
        column = sql.Identifier("s", wire.target)
        assigned = there.builtin and (wire.type == wire.compared_as or wire.type != "text")
        return column if assigned else _cast(column, wire.type, wire.compared_as if there.builtin else there.type)

    def _stored_key(self, key: str) -> sql.Composable:
        wire = next(w for w in self.shape.columns if w.target == key)
        return _cast(sql.Identifier("s", key), wire.type, self._own[key].type)

    def _same_key(self, wire: WireColumn) -> sql.Composed:
        """A type of an extension has an equality of its own: a citext key that changed its case is no orphan."""
        there, came = sql.Identifier("t", wire.target), sql.Identifier("k", wire.target)
        if not self._own[wire.target].builtin:
            return sql.SQL("{} = {}").format(there, _cast(came, wire.type, self._own[wire.target].type))
        return sql.SQL("{} = {}").format(self.stored_value(wire), _cast(came, wire.type, wire.compared_as))

    def stored_value(self, wire: WireColumn) -> sql.Composable:
        """Returns the target's value in the type in which both sides are compared."""
        return _cast(sql.Identifier("t", wire.target), self._own[wire.target].type, wire.compared_as)

    def key_hash(self) -> sql.Composed:
        """Returns the hash of the orphan key, the same as the source computes it."""
        wires = [self._by_name_or_target(name) for name in self.shape.orphan_key]
        return key_hash([(self.stored_value(w), w.compared_as) for w in wires])

    def _by_name_or_target(self, name: str) -> WireColumn:
        return self._by_name[name] if name in self._by_name else next(w for w in self.shape.columns if w.target == name)

    def live(self) -> sql.Composed:
        """Returns the FROM clause of the rows that are not soft-deleted."""
        condition = sql.SQL("{} IS NULL").format(sql.Identifier("t", DELETED_AT)) if self._soft else sql.SQL("true")
        return sql.SQL("FROM {} AS t WHERE {}").format(self._table, condition)

    @property
    def _bucketing(self) -> Bucketing:
        return Bucketing(self.key_hash(), sql.Identifier("t", self.orphan_names()[0]))

    def key_ends(self, spans: Sequence[Span]) -> sql.Composed | None:
        """Returns the query of the least and the greatest key in each span; None where buckets can't be ranges: no single integer key with an index."""
        names = self.orphan_names()
        if len(names) != 1 or tuple(names) != self._keys or self._own[names[0]].type not in INTEGERS:
            return None
        return ends(sql.Identifier(names[0]), self._table, spans)

    def checksums(self, buckets: Buckets, *, content: bool, spans: Sequence[Span]) -> sql.Composed:
        """Returns the query of count and hash by bucket."""
        compared = [w for w in self.shape.columns if w.compared]
        hashed = content_hash([(self.stored_value(w), w.compared_as) for w in compared]) if content else self.key_hash()
        cut = self._bucketing
        return sql.SQL("SELECT {}, count(*), bit_xor({}) {} AND {} GROUP BY 1").format(cut.number(buckets), hashed, self.live(), cut.inside(spans))

    def orphan_names(self) -> list[str]:
        """Returns the target's names of the orphan key's columns."""
        return [self._by_name_or_target(name).target for name in self.shape.orphan_key]

    def create_keys(self, name: sql.Identifier) -> sql.Composed:
        """Returns the temporary table that takes the source's keys."""
        wires = [self._by_name_or_target(n) for n in self.shape.orphan_key]
        fields = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(w.target), _type(w.type)) for w in wires)
        return sql.SQL("CREATE TEMP TABLE {} ({})").format(name, fields)

    def candidates(self, keys_table: sql.Identifier, into: sql.Identifier, buckets: Sequence[Buckets]) -> sql.Composed:
        """Returns the statement that keeps the keys of target rows that the source's keys lack."""
        wires = [self._by_name_or_target(n) for n in self.shape.orphan_key]
        same = sql.SQL(" AND ").join(self._same_key(w) for w in wires)
        texts = sql.SQL(", ").join(sql.SQL("{}::text AS {}").format(sql.Identifier("t", w.target), sql.Identifier(w.target)) for w in wires)
        return sql.SQL("CREATE TEMP TABLE {} AS SELECT DISTINCT {} {} AND {} AND NOT EXISTS (SELECT FROM {} AS k WHERE {})").format(
            into, texts, self.live(), self._bucketing.meant(buckets), keys_table, same
        )

    def remove(self, keys: Sequence[tuple[str | None, ...]]) -> sql.Composed:
        """Returns the statement that deletes or marks rows by orphan key."""
        names = self.orphan_names()
        # As texts: an array of arrays would be a matrix, whose rows must be of one length.
        arrays = sql.SQL(", ").join(sql.SQL("{}::text[]").format(sql.Literal([key[i] for key in keys])) for i in range(len(names)))
        same = sql.SQL(" AND ").join(sql.SQL("{} = {}").format(sql.Identifier("t", n), _cast(sql.Identifier("k", n), "text", self._own[n].type)) for n in names)
        listed = sql.SQL("unnest({}) AS k({})").format(arrays, sql.SQL(", ").join(sql.Identifier(n) for n in names))
        if self._soft:
            mark = sql.Identifier(DELETED_AT)
            return sql.SQL("UPDATE {} AS t SET {} = now() FROM {} WHERE {} AND t.{} IS NULL").format(self._table, mark, listed, same, mark)
        return sql.SQL("DELETE FROM {} AS t USING {} WHERE {}").format(self._table, listed, same)
