"""The second, upper-case form of a spec: its statements, each rule with an error of its own, as fields of the first form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from querymirror.errors import SpecTextError
from querymirror.spec.names import canonical_table
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.problems import Problems, listed, quoted, suggestion
from querymirror.spec.references import References, Sql
from querymirror.spec.settings import Settings
from querymirror.spec.sql_rules import check_no_placeholders, check_reads
from querymirror.spec.sql_tokens import fold, tokenize
from querymirror.spec.upper_rules import CreateTable, Insert, read_create_table, read_insert
from querymirror.spec.upper_select import CURSOR, final_condition, has_star, parse_select, result_name, rewrite

if TYPE_CHECKING:
    from sqlglot import exp

STATEMENTS = ("CREATE_TABLE_SQL", "SELECT_SOURCE_SQL", "UPSERT_TARGET_SQL", "SELECT_KEYS_SQL")
UPPER_KEYS = (*STATEMENTS, "TARGET_TABLE", "KEY_COLUMNS")
_CONNECTIONS = ("source_conn_id", "target_conn_id")
_NOT_HERE = {"id", "source", "target", "keys_sql", "key_columns", "transform", "transform_code"}
LOWER_KEYS = (*_CONNECTIONS, *(n for n in PipelineSpec.model_fields if n not in _NOT_HERE))


def is_upper_form(data: Mapping[str, Any]) -> bool:
    """Whether a spec is written in the second form."""
    return any(key in UPPER_KEYS for key in data)


class UpperForm:
    """Reads one spec of the second form.

    Args:
        data: its fields.
        settings: for the connections.
        references: reads the statements.
        problems: where to tell what is wrong.
    """

    def __init__(self, data: Mapping[str, Any], settings: Settings, references: References, problems: Problems) -> None:
        self._data, self._settings = data, settings
        self._references, self._problems = references, problems

    def read(self) -> dict[str, Any]:
        """Returns the fields of the first form; after a problem no `source`, and of the target its name."""
        self._check_fields()
        common = {k: v for k, v in self._data.items() if k in LOWER_KEYS and k not in _CONNECTIONS}
        statements = {name: self._statement(name) for name in STATEMENTS}
        table = self._table()
        create, insert = self._create(statements["CREATE_TABLE_SQL"]), self._insert(statements["UPSERT_TARGET_SQL"])
        self._check_tables(table, create, insert)
        if create and insert:
            self._check_columns(create, insert)
        keys = self._key_columns(create)
        self._check_keys(statements["SELECT_KEYS_SQL"], keys)
        selected = self._select(statements["SELECT_SOURCE_SQL"], insert)
        source_conn, target_conn = (self._connection(name) for name in _CONNECTIONS)
        if table and isinstance(target_conn, str):
            common["target"] = {"type": "postgres", "conn_id": target_conn, "table": table}
        if self._problems.found or insert is None or selected is None:
            return common
        query, names = selected
        by_column = dict(zip(insert.columns, names, strict=True))
        common["source"] = {
            "conn_id": source_conn,
            "query": {"text": query, "file": statements["SELECT_SOURCE_SQL"].file if statements["SELECT_SOURCE_SQL"] else None},
            "primary_key": [by_column[c] for c in insert.conflict],
            "cursor_column": CURSOR,
        }
        common["target"] |= {
            "create_sql": statements["CREATE_TABLE_SQL"].as_field() if statements["CREATE_TABLE_SQL"] else None,
            "omit": [CURSOR],
            "columns": insert.columns,
            "update_columns": insert.updates,
        }
        common["keys_sql"] = statements["SELECT_KEYS_SQL"].as_field() if statements["SELECT_KEYS_SQL"] else None
        common["key_columns"] = self._named_as_selected(keys, by_column)
        return common

    def _check_fields(self) -> None:
        for name in UPPER_KEYS:
            if self._data.get(name) is None:
                self._problems.add((name,), "the field is missing.", f"Add {name}; a spec of this form has {listed(UPPER_KEYS)}.")
        for name in self._data:
            if name in _NOT_HERE:
                fix = f"Remove it, or write the whole spec in the first form, without {listed(k for k in UPPER_KEYS if k in self._data)}."
                self._problems.add((name,), "the field does not go with the upper-case form.", fix)
            elif name not in UPPER_KEYS and name not in LOWER_KEYS:
                fields = (*UPPER_KEYS, *LOWER_KEYS)
                self._problems.add((name,), "there is no such field.", suggestion(name, fields, f"Use one of: {listed(fields)}."))

    def _connection(self, name: str) -> object:
        value = self._data.get(name, self._settings.defaults.get(name))
        if not isinstance(value, str) or not value:
            what = "no connection is named, neither here nor in settings.yaml." if value is None else f"{quoted(value)} is not a connection id."
            self._problems.add((name,), what, f"Add {name} here, or under defaults in settings.yaml.")
        return value

    def _statement(self, name: str) -> Sql | None:
        return None if self._data.get(name) is None else self._references.sql((name,), self._data[name])

    def _table(self) -> str | None:
        value = self._data.get("TARGET_TABLE")
        if value is None:
            return None
        try:
            if isinstance(value, str):
                return canonical_table(value)
            reason = "it is not text"
        except SpecTextError as err:
            reason = err.what
        self._problems.add(("TARGET_TABLE",), f"{quoted(value)} is not the name of a table: {reason}.", "Write schema.table.")
        return None

    def _create(self, sql: Sql | None) -> CreateTable | None:
        try:
            return read_create_table(sql.statement) if sql else None
        except SpecTextError as problem:
            if sql:
                self._references.tell(("CREATE_TABLE_SQL",), sql, problem)
            return None

    def _insert(self, sql: Sql | None) -> Insert | None:
        try:
            return read_insert(sql.statement) if sql else None
        except SpecTextError as problem:
            if sql:
                self._references.tell(("UPSERT_TARGET_SQL",), sql, problem)
            return None

    def _check_tables(self, table: str | None, create: CreateTable | None, insert: Insert | None) -> None:
        if table and create and create.table != table:
            self._problems.add(("CREATE_TABLE_SQL",), f"it creates {create.table}, TARGET_TABLE is {table}.", "Name the same table in both.")
        if table and insert and insert.table != table:
            self._problems.add(("UPSERT_TARGET_SQL",), f"it inserts into {insert.table}, TARGET_TABLE is {table}.", "Name the same table in both.")

    def _check_columns(self, create: CreateTable, insert: Insert) -> None:
        path = ("UPSERT_TARGET_SQL",)
        missing = [c for c in create.columns if c not in insert.columns]
        unknown = [c for c in insert.columns if c not in create.columns]
        if missing:
            self._problems.add(path, f"the INSERT leaves out {listed(missing)} of CREATE_TABLE_SQL.", "List every column of the table.")
        if unknown:
            what = f"the INSERT lists {listed(unknown)}, which CREATE_TABLE_SQL doesn't have (it has: {listed(create.columns)})."
            self._problems.add(path, what, "Take it out, or add it there.")
        if not unknown and frozenset(insert.conflict) not in create.unique:
            known = "; ".join(f"({listed(sorted(u))})" for u in create.unique) or "none"
            what = f"ON CONFLICT ({listed(insert.conflict)}) has no PRIMARY KEY or UNIQUE over exactly these columns in CREATE_TABLE_SQL (it has: {known})."
            self._problems.add(path, what, "Add PRIMARY KEY or UNIQUE there, or name its columns here.")

    def _key_columns(self, create: CreateTable | None) -> list[str] | None:
        value = self._data.get("KEY_COLUMNS")
        if value is None:
            return None
        names = value.split(",") if isinstance(value, str) else value
        if not isinstance(names, list) or not names or not all(isinstance(n, str) and n.strip() for n in names):
            self._problems.add(("KEY_COLUMNS",), f"{quoted(value)} is not a list of columns.", "Write [a, b] or 'a, b'.")
            return None
        known = create.columns if create else ()
        found = [_as_stored(n.strip(), known) for n in names]
        unknown = [n for n in found if create and n not in known]
        if unknown:
            fix = suggestion(unknown[0], known, f"Name columns of TARGET_TABLE: {listed(known)}.")
            self._problems.add(("KEY_COLUMNS",), f"{listed(unknown)} is not a column of the table that CREATE_TABLE_SQL makes.", fix)
        if len(set(found)) != len(found):
            self._problems.add(("KEY_COLUMNS",), f"a column stands twice in {listed(found)}.", "Name each column once.")
        return None if unknown else found

    def _check_keys(self, sql: Sql | None, keys: list[str] | None) -> None:
        if sql is None:
            return
        path = ("SELECT_KEYS_SQL",)
        wrong = [*check_reads(sql.statement), *check_no_placeholders(sql.statement)]
        items: list[exp.Expr] = []
        try:
            items = [] if wrong else parse_select(sql.statement).selects
        except SpecTextError as err:
            wrong = [err]
        for problem in wrong:
            self._references.tell(path, sql, problem)
        if wrong:
            return
        names = ["*" if has_star([item]) else result_name(item) or "a column without a name" for item in items]
        if keys is not None and names != keys:
            fix = f"Select {listed(keys)}: the same names in the same order."
            self._problems.add(path, f"it selects {listed(names)}, KEY_COLUMNS is {listed(keys)}.", fix)

    def _select(self, sql: Sql | None, insert: Insert | None) -> tuple[str, tuple[str, ...]] | None:
        if sql is None:
            return None
        wrong = list(check_reads(sql.statement))
        try:
            if not wrong:
                condition = final_condition(sql.statement)
                return rewrite(sql.statement, condition, insert.columns) if insert else None
        except SpecTextError as err:
            wrong = [err]
        for problem in wrong:
            self._references.tell(("SELECT_SOURCE_SQL",), sql, problem)
        return None

    def _named_as_selected(self, keys: list[str] | None, by_column: Mapping[str, str]) -> list[str]:
        """Returns KEY_COLUMNS, which must have the same names in the query's result."""
        for name in keys or ():
            if by_column[name] != name:
                what = f"the column that feeds {name} of KEY_COLUMNS is named {by_column[name]}, and GROUP BY refers to that name."
                self._problems.add(("SELECT_SOURCE_SQL",), what, f"Group by the expression, and name the column {name}.")
        return keys or []


def _as_stored(name: str, known: tuple[str, ...]) -> str:
    """Returns a column's name as PostgreSQL stores it; one that is a column as it stands needs no quotes."""
    if name in known:
        return name
    try:
        tokens = tokenize(name)
    except SpecTextError:
        return name
    return tokens[0].name or name if len(tokens) == 1 else fold(name)
