"""`python -m querymirror new`: writes a spec from a table or a query that it looks at."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from querymirror.cli.output import fail, line, print_json, wrong_usage
from querymirror.cli.propose import Proposal, propose
from querymirror.cli.session import AsJson, Include
from querymirror.connections import address_from_env
from querymirror.errors import PipelineError, Problem, SpecError
from querymirror.spec.loader import default_include, load_all, load_settings, load_spec
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.problems import shown
from querymirror.spec.references import names_file
from querymirror.spec.settings import Settings
from querymirror.spec.target import PostgresTarget

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off"}  # plain words that some readers of YAML take for something else


@dataclass(frozen=True)
class Draft:
    """What the spec will say.

    Args:
        query: SQL, or the name of a file under include/sql.
        target: `table` or `index` and its name.
    """

    name: str
    source_conn: str
    query: str
    primary_key: Sequence[str]
    cursor: str | None
    target: tuple[str, str]
    target_conn: str
    description: str


def new(
    name: Annotated[str | None, typer.Argument(help="The pipeline's id, which is the file's name.", show_default=False)] = None,
    *,
    table: Annotated[str | None, typer.Option(help="The table to mirror: schema.table.", show_default=False)] = None,
    query: Annotated[str | None, typer.Option(help="The query to mirror: SQL, or a file under include/sql.", show_default=False)] = None,
    key: Annotated[list[str] | None, typer.Option(help="A column of the primary key; may be repeated.", show_default=False)] = None,
    cursor: Annotated[str | None, typer.Option(help="The cursor column; '' for none.", show_default=False)] = None,
    target_table: Annotated[str | None, typer.Option(help="The table to write: schema.table.", show_default=False)] = None,
    index: Annotated[str | None, typer.Option(help="The index to write, instead of a table.", show_default=False)] = None,
    source_conn: Annotated[str | None, typer.Option(help="Airflow connection of the source.", show_default=False)] = None,
    target_conn: Annotated[str | None, typer.Option(help="Airflow connection of the target.", show_default=False)] = None,
    description: Annotated[str, typer.Option(help="Shown in Airflow.")] = "",
    include: Include = None,
    show: Annotated[bool, typer.Option("--show", help="Print the spec; write no file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a spec from a table or a query: looks at it, proposes key, cursor and target, asks on a terminal, validates, then writes.

    Nothing that exists is overwritten. Exit status: 0 = written, 1 = not written, with the problems, 2 = something is not said and nobody can be asked.
    """
    folder = include or default_include()
    asks = sys.stdin.isatty() and not as_json
    table = _table(table, query, asks=asks)
    name = name or _answer("Name of the pipeline", (table or "").rpartition(".")[2].strip('"') or None, "Give the pipeline's name.", asks=asks)
    try:
        settings = load_settings(folder)
        source_conn = source_conn or _connection("source", settings, asks=asks)
        proposal = propose(address_from_env(source_conn), table=table, query=_text(query, folder))
        primary_key = key or _asked_list("Primary key", proposal.primary_key, "No primary key can be seen: give --key.", asks=asks)
        cursor = _asked_cursor(proposal, asks=asks) if cursor is None else cursor or None
        target = ("index", index) if index else ("table", target_table or _target_table(name, settings, asks=asks))
        conn = target_conn or _target_connection(target[0], settings, asks=asks)
        draft = Draft(name, source_conn, query or proposal.query, primary_key, cursor, target, conn, description or f"{table or 'A query'}, mirrored")
        text = render(draft, folder)
        path = _checked(draft, text, folder)
        if not show:
            write_new(path, text, folder)
    except PipelineError as err:
        fail(err, folder, as_json=as_json)
    _tell(shown(path, folder), text, proposal.warning if cursor == proposal.cursor else "", show=show, as_json=as_json)


def _table(table: str | None, query: str | None, *, asks: bool) -> str | None:
    """Returns the table to mirror, None where it is a query."""
    if (table is None) != (query is None):
        return table
    return _answer("Table to mirror (schema.table)", None, "Give one of --table and --query.", asks=asks and query is None)


def _text(query: str | None, include: Path) -> str | None:
    """Returns the SQL of a query that may be the name of a file."""
    if query is None or not names_file(query):
        return query
    file = include / "sql" / query
    if not file.is_file():
        wrong_usage(f"{shown(file, include)} does not exist.")
    return file.read_text(encoding="utf-8-sig").strip().removesuffix(";")


def _answer(question: str, proposed: str | None, otherwise: str, *, asks: bool) -> str:
    if asks:
        return str(typer.prompt(question, default=proposed))
    return proposed or wrong_usage(otherwise)


def _asked_list(question: str, proposed: Sequence[str], otherwise: str, *, asks: bool) -> list[str]:
    answer = _answer(f"{question} (columns, separated by commas)", ", ".join(proposed) or None, otherwise, asks=asks)
    return [part.strip() for part in answer.split(",") if part.strip()]


def _asked_cursor(proposal: Proposal, *, asks: bool) -> str | None:
    if not asks:
        return proposal.cursor
    answer = str(typer.prompt("Cursor column, which grows with every change ('-' for none)", default=proposal.cursor or "-"))
    return None if answer.strip() == "-" else answer.strip()


def _connection(part: str, settings: Settings, *, asks: bool) -> str:
    given = settings.defaults.get(f"{part}_conn_id")
    return str(given) if given else _answer(f"Airflow connection of the {part}", None, f"Give --{part}-conn.", asks=asks)


def _target_connection(kind: str, settings: Settings, *, asks: bool) -> str:
    """Returns the connection that the settings let tables, or indices, be written over."""
    allowed = [a.conn_id for a in settings.allowed_targets if (a.tables if kind == "table" else a.indices)]
    proposed = str(settings.defaults.get("target_conn_id") or "")
    best = proposed if proposed in allowed else next(iter(allowed), proposed or None)
    return _answer("Airflow connection of the target", best, "Give --target-conn.", asks=asks)


def _target_table(name: str, settings: Settings, *, asks: bool) -> str:
    """Returns a table of the pipeline's name in the first schema that the settings let be written."""
    schemas = [pattern.removesuffix(".*") for a in settings.allowed_targets for pattern in a.tables if pattern.endswith(".*")]
    proposed = f"{schemas[0]}.{name}" if schemas and "*" not in schemas[0] else None
    return _answer("Table to write (schema.table)", proposed, "Give --target-table or --index.", asks=asks)


def render(draft: Draft, include: Path) -> str:
    """Returns the spec's text."""
    kind, target = draft.target
    head = ["# yaml-language-server: $schema=../spec.schema.json"] if (include / "spec.schema.json").is_file() else []
    query = [f"  query: {draft.query}"] if names_file(draft.query) else ["  query: |", *(f"    {part}".rstrip() for part in draft.query.strip().splitlines())]
    cursor = [f"  cursor_column: {_scalar(draft.cursor)}"] if draft.cursor else []
    lines = [
        *head,
        f"description: {_scalar(draft.description)}",
        "source:",
        f"  conn_id: {_scalar(draft.source_conn)}",
        *query,
        f"  primary_key: [{', '.join(map(_scalar, draft.primary_key))}]",
        *cursor,
        "target:",
        f"  type: {'postgres' if kind == 'table' else 'elasticsearch'}",
        f"  conn_id: {_scalar(draft.target_conn)}",
        f"  {kind}: {_scalar(target)}",
    ]
    return "\n".join(lines) + "\n"


def _scalar(text: str) -> str:
    """Returns a text as YAML; JSON's quotes are YAML's too."""
    return text if _PLAIN.match(text) and text.lower() not in _WORDS else json.dumps(text, ensure_ascii=False)


def _checked(draft: Draft, text: str, include: Path) -> Path:
    """Returns where the spec goes, once it is known to be good there.

    Raises:
        SpecError: the pipeline exists, its target is another's, or the text has a problem.
    """
    path = include / "jobs" / f"{draft.name}.yaml"
    loaded = load_all(include)
    name = shown(path, include)
    if draft.name in {*loaded.specs, *loaded.broken} or path.exists():
        raise SpecError([Problem(name, 0, "", f"the pipeline {draft.name!r} exists already; nothing was overwritten.", "Choose another name.")])
    with tempfile.TemporaryDirectory() as folder:
        draft_file = Path(folder) / f"{draft.name}.yaml"
        draft_file.write_text(text, encoding="utf-8")
        try:
            spec = load_spec(draft_file, include)
        except SpecError as err:
            raise SpecError([replace(p, file=name if p.file == str(draft_file) else p.file) for p in err.problems]) from err
    other = next((o for o in loaded.specs.values() if _place(o) == _place(spec)), None)
    if other is not None:
        what = f"the pipeline {other.id!r} writes {draft.target[1]} of {draft.target_conn} already."
        raise SpecError([Problem(name, 0, f"target.{draft.target[0]}", what, "Choose another target.")])
    return path


def _place(spec: PipelineSpec) -> tuple[str, str]:
    return spec.target.conn_id, spec.target.table if isinstance(spec.target, PostgresTarget) else spec.target.index


def write_new(path: Path, text: str, include: Path) -> None:
    """Writes a file that is not there yet.

    Raises:
        SpecError: it is there, or can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as err:
        problem = Problem(shown(path, include), 0, "", f"the file can't be written: {err.strerror or err}.", "Check the folder's permissions.")
        raise SpecError([problem]) from err


def _tell(file: str, text: str, warning: str, *, show: bool, as_json: bool) -> None:
    if as_json:
        print_json({"file": file, "written": not show, "spec": text, "warning": warning})
        return
    sys.stdout.write(text)
    if warning:
        typer.secho(f"warning: {warning}", fg="yellow", err=True)
    if not show:
        line(f"wrote {file}; next: python -m querymirror plan {Path(file).stem}", colour="green")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(new)
