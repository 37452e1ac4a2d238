"""Rules over a spec's fields that the model's types can't say; each looks at raw values, so that all of them speak at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from querymirror.errors import SpecTextError
from querymirror.spec.cron import cron_problem
from querymirror.spec.names import canonical_table, index_problem
from querymirror.spec.problems import Problems, listed, quoted, suggestion
from querymirror.spec.references import References, Sql
from querymirror.spec.settings import Settings
from querymirror.spec.sql_rules import check_bounds, check_no_placeholders, check_reads, output_columns
from querymirror.spec.target import Target
from querymirror.spec.upper_rules import read_create_table
from querymirror.spec.yaml_lines import Path

MAX_TAG = 100  # what Airflow stores

_TARGET: TypeAdapter[Target] = TypeAdapter(Target)
_LISTS: tuple[Path, ...] = (("source", "primary_key"), ("target", "omit"), ("after",), ("tags",))


def value_at(data: object, path: Path) -> object:
    """Returns the value of a field, None where it isn't."""
    for part in path:
        if not isinstance(data, dict):
            return None
        data = data.get(str(part))
    return data


def check_lists(data: dict[str, Any], problems: Problems) -> None:
    """Refuses names given twice, and tags that Airflow can't hold."""
    for path in _LISTS:
        values = value_at(data, path)
        if not isinstance(values, list):
            continue
        for name, count in Counter(v for v in values if isinstance(v, str)).items():
            if count > 1:
                problems.add(path, f"{quoted(name)} stands there {count} times.", "Name it once.")
    tags = data.get("tags")
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, str) and not 0 < len(tag) <= MAX_TAG:
            problems.add(("tags",), f"{quoted(tag)} has {len(tag)} characters.", f"A tag has 1 to {MAX_TAG}.")


def check_schedules(data: dict[str, Any], problems: Problems) -> None:
    """Refuses anything but five-field cron expressions and null."""
    for name in ("schedule", "verify_schedule"):
        value = data.get(name)
        wrong = cron_problem(value) if isinstance(value, str) else None
        if wrong:
            fix = "Write five fields such as '*/5 * * * *', or null to run by hand only."
            problems.add((name,), f"{quoted(value)} is not a cron expression: {wrong}.", fix)


def check_query(query: Sql | None, references: References) -> Sequence[str | None] | None:
    """Checks the pipeline's query; returns its columns' names where they are plain to see."""
    if query is None:
        return None
    wrong = [*check_reads(query.statement), *check_no_placeholders(query.statement)]
    for problem in wrong:
        references.tell(("source", "query"), query, problem)
    return None if wrong else output_columns(query.statement)


def check_columns(data: dict[str, Any], columns: Sequence[str | None] | None, problems: Problems) -> None:
    """Refuses names of columns that the query doesn't return, and an `omit` that takes a row's identity away."""
    keys, omit = value_at(data, ("source", "primary_key")), value_at(data, ("target", "omit"))
    named: list[tuple[Path, object]] = [(("source", "cursor_column"), value_at(data, ("source", "cursor_column")))]
    lists: list[tuple[Path, object]] = [(("source", "primary_key"), keys), (("target", "omit"), omit)]
    for path, values in lists:
        named += [((*path, i), v) for i, v in enumerate(values)] if isinstance(values, list) else []
    for path, name in named:
        if isinstance(name, str) and columns is not None and None not in columns and name not in columns:
            known = [c for c in columns if c is not None]
            fix = suggestion(name, known, f"Use one of: {listed(known)}; or add the column to the query.")
            problems.add(path, f"{quoted(name)} is not a column of the query.", fix)
    both = [k for k in keys if k in omit] if isinstance(keys, list) and isinstance(omit, list) else []
    if both:
        problems.add(("target", "omit"), f"{listed(both)} is part of primary_key, which the target must store.", "Take it out of omit.")


def check_keys(keys: Sql | None, wanted: object, references: References) -> None:
    """Checks a query of the keys: it reads, takes no placeholder and returns the key's columns."""
    if keys is None:
        return
    wrong = [*check_reads(keys.statement), *check_no_placeholders(keys.statement)]
    for problem in wrong:
        references.tell(("keys_sql",), keys, problem)
    columns = output_columns(keys.statement)
    if wrong or columns is None or None in columns or not isinstance(wanted, list):
        return
    if sorted(map(str, wanted)) != sorted(map(str, columns)):
        what = f"it returns {listed(map(str, columns))}, and the key is {listed(map(str, wanted))}."
        references.tell_field(("keys_sql",), what, "Select exactly the columns of primary_key.")


def check_change(path: Path, change: Sql, key: object, references: References) -> None:
    """Checks a change's `keys_sql`: it reads, is bounded, and returns the primary key and the change's cursor."""
    wrong = [*check_reads(change.statement), *check_bounds(change.statement)]
    for problem in wrong:
        references.tell(path, change, problem)
    columns = output_columns(change.statement)
    if not wrong and columns is not None and isinstance(key, list) and len(columns) != len(key) + 1:
        what = f"it returns {len(columns)} column(s), not {len(key) + 1}."
        references.tell_field(path, what, f"Select {listed(map(str, key))} and then the change's cursor.")


def check_create(create: Sql, references: References) -> None:
    """Checks that the columns of a table are plain to see: with a transform they are those of the rows."""
    try:
        read_create_table(create.statement)
    except SpecTextError as problem:
        references.tell(("target", "create_sql"), create, problem)


def check_target(data: dict[str, Any], settings: Settings, problems: Problems) -> None:
    """Checks the target's name, writes it in its one spelling, and refuses what the settings don't allow."""
    target = data.get("target")
    if not isinstance(target, dict):
        return
    if isinstance(target.get("table"), str) and target.get("type") == "postgres":
        try:
            target["table"] = canonical_table(target["table"])
        except SpecTextError as err:
            fix = 'Write schema.table, with capitals and spaces in quotes: analytics."Film Dim".'
            problems.add(("target", "table"), f"{quoted(target['table'])} is not the name of a table: {err.what}.", fix)
            return
    if isinstance(target.get("index"), str) and target.get("type") == "elasticsearch":
        wrong = index_problem(target["index"])
        if wrong:
            fix = "Use lower-case letters, digits, '-' and '_'."
            problems.add(("target", "index"), f"{quoted(target['index'])} is not the name of an index: {wrong}.", fix)
            return
    _check_allowed(target, settings, problems)


def _check_allowed(target: dict[str, Any], settings: Settings, problems: Problems) -> None:
    kind, name = ("table", "tables") if target.get("type") == "postgres" else ("index", "indices")
    try:
        given = _TARGET.validate_python({k: target[k] for k in ("type", "conn_id", kind) if k in target})
    except ValidationError:
        return  # the model tells what is missing
    if settings.allows(given):
        return
    allowed = "; ".join(f"{a.conn_id}: {', '.join((*a.tables, *a.indices)) or 'nothing'}" for a in settings.allowed_targets) or "nothing"
    fix = f"Change the target, or add it to allowed_targets in settings.yaml: {{conn_id: {given.conn_id}, {name}: [{target[kind]!r}]}}."
    problems.add(("target", kind), f"{target[kind]} of {given.conn_id} is not an allowed target (allowed: {allowed}).", fix)
