"""SQL that reads the source; composition only, nothing runs here.

The pipeline's query is always read as a sub-select `q`, so that PostgreSQL can push the conditions of a batch into it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from psycopg import sql

from querymirror.facts import Column, Key, Origin, Shape
from querymirror.pg.bucketing import Bucketing
from querymirror.pg.hashing import content_hash, key_hash
from querymirror.records import Batch, Window

_PLACEHOLDER = re.compile(r"%\((low|high)\)s|%%")

# COPY csv with these two never quotes JSON: JSON text holds no control characters.
NDJSON_OPTIONS = {"format": "csv", "delimiter": "\x02", "quote": "\x01"}


def raw(text: str) -> sql.SQL:
    """Marks SQL that the spec's author wrote, or a type name that a server gave, as SQL."""
    return sql.SQL(text)


def subselect(query: str) -> sql.Composed:
    """Returns the query as the sub-select `q`; the line breaks end a trailing `--` comment."""
    return sql.SQL("(\n{}\n) AS q").format(raw(query))


def column(name: str) -> sql.Identifier:
    """Returns a column of the query's result."""
    return sql.Identifier("q", name)


def typed(value: str | None, type_name: str) -> sql.Composed:
    """Returns a value in PostgreSQL's text form as a literal of a type."""
    return sql.SQL("{}::{}").format(sql.Literal(value), raw(type_name))


def keys_query(keys_sql: str, window: Window) -> sql.SQL:
    """Returns a change's `keys_sql` with its bounds filled in as untyped literals, whose type PostgreSQL infers."""
    values = {"low": window.low, "high": window.high}

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        return "%" if name is None else sql.Literal(values[name]).as_string(None)

    return raw(_PLACEHOLDER.sub(fill, keys_sql))


def in_window(cursor: sql.Composable, type_name: str, window: Window, *, nulls: bool) -> sql.Composable:
    """Returns low <= cursor < high; with `nulls`, rows without a cursor too."""
    parts: list[sql.Composable] = []
    if window.low is not None:
        parts.append(sql.SQL("{} >= {}").format(cursor, typed(window.low, type_name)))
    if window.high is not None:
        parts.append(sql.SQL("{} < {}").format(cursor, typed(window.high, type_name)))
    if not parts:
        return sql.SQL("true")
    inside = sql.SQL(" AND ").join(parts)
    return sql.SQL("(({}) OR {} IS NULL)").format(inside, cursor) if nulls else inside


def in_key_texts(columns: Sequence[Column], keys: Sequence[Key]) -> sql.Composed:
    """Returns the same condition over texts: slow, but a text that is no value of the column's type is just not found."""
    names = sql.SQL(", ").join(sql.SQL("{}::text").format(column(c.name)) for c in columns)
    texts = sql.SQL(", ").join(sql.SQL("{}::text[]").format(sql.Literal([k[i] for k in keys])) for i in range(len(columns)))
    return sql.SQL("({}) IN (SELECT * FROM unnest({}))").format(names, texts)


def in_keys(columns: Sequence[Column], keys: Sequence[Key]) -> sql.Composed:
    """Returns a condition that PostgreSQL can push down and answer with an index."""
    if any(c.source_type.endswith("]") for c in columns):  # an array of arrays is a matrix, whose rows must be of one length
        texts = sql.SQL(", ").join(sql.SQL("{}::text[]").format(sql.Literal([k[i] for k in keys])) for i in range(len(columns)))
        values = sql.SQL(", ").join(sql.SQL("{}::{}").format(sql.Identifier("k", f"c{i}"), raw(c.source_type)) for i, c in enumerate(columns))
        fields = sql.SQL(", ").join(sql.Identifier(f"c{i}") for i in range(len(columns)))
        names = sql.SQL(", ").join(column(c.name) for c in columns)
        return sql.SQL("({}) IN (SELECT {} FROM unnest({}) AS k({}))").format(names, values, texts, fields)
    arrays = [sql.SQL("{}::{}[]").format(sql.Literal([k[i] for k in keys]), raw(c.source_type)) for i, c in enumerate(columns)]
    if len(columns) == 1:
        return sql.SQL("{} = ANY({})").format(column(columns[0].name), arrays[0])
    names = sql.SQL(", ").join(column(c.name) for c in columns)
    return sql.SQL("({}) IN (SELECT * FROM unnest({}))").format(names, sql.SQL(", ").join(arrays))


def cast_to(name: str, source_type: str, wire_type: str) -> sql.Composable:
    """Returns a column in the type in which it travels."""
    return column(name) if source_type == wire_type else sql.SQL("CAST({} AS {})").format(column(name), raw(wire_type))


class Selection:
    """The columns of a query, and the expressions over them that a target's shape asks for."""

    def __init__(self, columns: Sequence[Column], shape: Shape) -> None:
        self._types = {c.name: c.source_type for c in columns}
        self._shape = shape

    def wire(self, name: str) -> sql.Composable:
        """Returns a column as it travels."""
        wire = next(w for w in self._shape.columns if w.name == name)
        return cast_to(name, self._types[name], wire.type)

    def output(self, version: int) -> sql.Composed:
        """Returns the select list of a COPY; `version` (microseconds) goes into bulk actions."""
        if self._shape.format == "ndjson":
            return sql.SQL("{}, {}").format(self._action(version), self.document())
        return sql.SQL(", ").join(self.wire(w.name) for w in self._shape.columns)

    def key_hash(self, names: Sequence[str]) -> sql.Composed:
        """Returns the hash of a key as the target stores it; of documents, the hash of their id (see `digest.id_hash`)."""
        if self._shape.format == "ndjson":
            return sql.SQL("('x' || substr(md5(convert_to({}, 'UTF8')), 1, 16))::bit(64)::bigint").format(self.document_id())
        types = {w.name: w.compared_as for w in self._shape.columns}
        return key_hash([(cast_to(n, self._types[n], types[n]), types[n]) for n in names])

    def content_hash(self) -> sql.Composed:
        """Returns the hash of all that the target stores; of documents, that of `digest.document_hash`."""
        if self._shape.format == "ndjson":
            text = sql.SQL("convert_to({} || E'\\n' || {}, 'UTF8')").format(self.document_id(), self.document())
            return sql.SQL("('x' || substr(md5({}), 1, 16))::bit(64)::bigint").format(text)
        compared = [w for w in self._shape.columns if w.compared]
        return content_hash([(cast_to(w.name, self._types[w.name], w.compared_as), w.compared_as) for w in compared])

    @property
    def bucketing(self) -> Bucketing:
        """The buckets of a row's orphan key."""
        return Bucketing(self.key_hash(self._shape.orphan_key), column(self._shape.orphan_key[0]))

    def document_id(self) -> sql.Composable:
        """Returns a document's id: the key's text, for several columns a JSON array of them."""
        texts = [sql.SQL("{}::text").format(column(name)) for name in self._shape.key]
        return texts[0] if len(texts) == 1 else sql.SQL("json_build_array({})::text").format(sql.SQL(", ").join(texts))

    def document_id_json(self) -> sql.Composed:
        """Returns a document's id as one line of JSON."""
        return sql.SQL("to_json({})::text").format(self.document_id())

    def document(self) -> sql.Composed:
        """Returns the document as one line of JSON; raw line breaks in JSON stand between tokens only."""
        fields = sql.SQL(", ").join(sql.SQL("{} AS {}").format(self._field(w.name), sql.Identifier(w.target)) for w in self._shape.columns)
        document = sql.SQL("(SELECT row_to_json(d.*) FROM (SELECT {}) d)::text").format(fields)
        # Not translate(): it goes from character to character, which takes as long as making the document.
        return sql.SQL("replace(replace({}, E'\\n', ' '), E'\\r', ' ')").format(document)

    def _field(self, name: str) -> sql.Composable:
        if self._types[name] == "bytea":
            return sql.SQL("replace(encode({}, 'base64'), E'\\n', '')").format(column(name))
        return column(name)

    def _action(self, version: int) -> sql.Composed:
        rest = sql.Literal(f', "version" : {version}, "version_type" : "external_gte"}}}}')
        return sql.SQL("'{{\"index\" : {{\"_id\" : ' || coalesce({}, 'null') || {}").format(self.document_id_json(), rest)


def batch_condition(batch: Batch, selection: Selection, cursor: Column | None, first_key: Column) -> sql.Composable:
    """Returns the condition that makes the rows of a batch out of the whole query; `changes` batches have keys instead."""
    if batch.kind == "window" and cursor is not None:
        return in_window(column(cursor.name), cursor.source_type, batch.window, nulls=batch.window.high is None)
    if batch.kind == "range":
        return in_window(column(first_key.name), first_key.source_type, batch.window, nulls=batch.window.low is None)
    return selection.bucketing.meant(batch.buckets)


def highest(origin: Origin | None, cursor: Column, query: str) -> sql.Composed:
    """Returns a query of the highest cursor as text, and of the time; one in the future must not become a bound."""
    name = sql.Identifier(origin.column) if origin is not None else sql.Identifier("q", cursor.name)
    place: sql.Composable = sql.Identifier(origin.schema_name, origin.table) if origin is not None else subselect(query)
    return sql.SQL("SELECT max({c})::text FROM {place} WHERE {bound}").format(c=name, place=place, bound=not_in_future(name, cursor.source_type))


def not_in_future(cursor: sql.Composable, type_name: str) -> sql.Composable:
    """Returns a condition that leaves out times after the source's own now; true for other types.

    A column without a time zone is compared with the time of day in the database's own zone.
    """
    if type_name.startswith("timestamp") and "without" not in type_name:
        return sql.SQL("{} <= now()").format(cursor)
    if type_name.startswith(("timestamp", "date")):
        zone = sql.SQL("(SELECT reset_val FROM pg_settings WHERE name = 'TimeZone')")
        return sql.SQL("{} <= now() AT TIME ZONE {}").format(cursor, zone)
    return sql.SQL("true")


def is_time(type_name: str) -> bool:
    """Whether a cursor of this type is a point in time, for which `lag` has a meaning."""
    return type_name.startswith(("timestamp", "date"))


def earliest_and_latest(type_name: str) -> Window:
    """Returns bounds that every value of a cursor type lies between.

    Raises:
        KeyError: the type has no such bounds.
    """
    if is_time(type_name):
        return Window(low="-infinity", high="infinity")
    ranges = {
        "smallint": ("-32768", "32767"),
        "integer": ("-2147483648", "2147483647"),
        "bigint": ("-9223372036854775808", "9223372036854775807"),
        "numeric": ("-Infinity", "Infinity"),
        "real": ("-Infinity", "Infinity"),
        "double precision": ("-Infinity", "Infinity"),
    }
    low, high = ranges[type_name.split("(", maxsplit=1)[0]]
    return Window(low=low, high=high)
