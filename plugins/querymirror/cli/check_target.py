"""What a target must have for a pipeline: types, a unique key or a mapping that fits, and privileges."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, cast

import psycopg
from psycopg import sql

from querymirror.cli.findings import Findings, names
from querymirror.connections import Address
from querymirror.errors import TerminalError
from querymirror.facts import Column
from querymirror.pg.session import connect
from querymirror.records import Foreseen
from querymirror.spec.names import split_table
from querymirror.spec.target import ElasticsearchTarget, PostgresTarget
from querymirror.spec.yaml_lines import Path as FieldPath
from querymirror.targets.base import Target

TIMEOUT = 30  # seconds one check may take in the target

_PRIVILEGES = sql.SQL("""
SELECT current_user::text, has_database_privilege(current_database(), 'TEMP'), has_database_privilege(current_database(), 'CREATE'),
       (SELECT has_schema_privilege(n.oid, 'CREATE') FROM pg_namespace n WHERE n.nspname = {schema}),
       (SELECT pg_has_role(c.relowner, 'MEMBER') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE (n.nspname, c.relname) = ({schema}, {table}))
""")
_TABLE_PRIVILEGE = sql.SQL("""
SELECT p FROM unnest({wanted}::text[]) AS p, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE (n.nspname, c.relname) = ({schema}, {table}) AND NOT has_table_privilege(c.oid, p)
""")


def check_target(findings: Findings, target: Target, address: Address, columns: tuple[Column, ...]) -> None:
    """Checks a spec's target for the query's columns; errors of its server are findings too."""
    spec = findings.spec
    if isinstance(spec.target, PostgresTarget):
        findings.checked(("target", "conn_id"), lambda: _check_table(findings, target, address, columns))
    else:
        findings.checked(("target", "conn_id"), lambda: _check_index(findings, target, address, columns))


def _foreseen(findings: Findings, target: Target, columns: tuple[Column, ...], path: FieldPath) -> Foreseen | None:
    seen: list[Foreseen] = []
    findings.checked(path, lambda: seen.append(target.foresee(columns)))
    return seen[0] if seen else None


def _check_table(findings: Findings, target: Target, address: Address, columns: tuple[Column, ...]) -> None:
    with connect(address, read_only=True, statement_timeout=TIMEOUT) as conn:
        own = cast("PostgresTarget", findings.spec.target).create_sql is not None
        foreseen = _foreseen(findings, target, columns, ("target", "create_sql" if own else "table"))
        _check_privileges(findings, conn, foreseen)


def _check_privileges(findings: Findings, conn: psycopg.Connection[Any], foreseen: Foreseen | None) -> None:
    spec, path = findings.spec, ("target", "table")
    schema, table = split_table(cast("PostgresTarget", spec.target).table)
    row = conn.execute(_PRIVILEGES.format(schema=sql.Literal(schema), table=sql.Literal(table))).fetchone()
    role, may_temp, may_create_schema, may_create, owner = row or ("?", False, False, None, None)
    if not may_temp:
        fix = sql.SQL("GRANT TEMPORARY ON DATABASE {} TO {};").format(sql.Identifier(conn.info.dbname), sql.Identifier(role))
        findings.error(path, f"role {role} may not make temporary tables, through which rows are loaded.", _run(fix))
    if may_create is None and not may_create_schema:
        fix = sql.SQL("CREATE SCHEMA {} AUTHORIZATION {};").format(sql.Identifier(schema), sql.Identifier(role))
        findings.error(path, f"there is no schema {schema}, and role {role} may not make one.", _run(fix))
    elif may_create is False and (owner is None or spec.on_reject == "dead_letter"):
        fix = sql.SQL("GRANT USAGE, CREATE ON SCHEMA {} TO {};").format(sql.Identifier(schema), sql.Identifier(role))
        why = f"{schema}.{table} can't be made" if owner is None else "refused rows can't be kept (on_reject: dead_letter)"
        findings.error(path, f"role {role} may not make tables in {schema}: {why}.", _run(fix))
    if owner is None:
        return
    wanted = ["SELECT", "INSERT", "UPDATE", *(["DELETE"] if spec.delete_missing == "hard" else [])]
    lacking = [r[0] for r in conn.execute(_TABLE_PRIVILEGE.format(wanted=sql.Literal(wanted), schema=sql.Literal(schema), table=sql.Literal(table))).fetchall()]
    if lacking:
        fix = sql.SQL("GRANT {} ON {} TO {};").format(sql.SQL(", ").join(map(sql.SQL, lacking)), sql.Identifier(schema, table), sql.Identifier(role))
        findings.error(path, f"role {role} lacks {names(lacking)} on {schema}.{table}.", _run(fix))
    if foreseen is not None and foreseen.statements and not owner:
        findings.error(path, f"{names(foreseen.changes) or 'the table must be altered'}: only its owner may, not role {role}.", _run_all(foreseen))


def _run(statement: sql.Composed) -> str:
    return f"Run as an owner: {statement.as_string(None)}"


def _run_all(foreseen: Foreseen) -> str:
    return f"Run as an owner: {'; '.join(foreseen.statements)};"


def _check_index(findings: Findings, target: Target, address: Address, columns: tuple[Column, ...]) -> None:
    # Imported here: the client costs half a second that checks of tables do without.
    from querymirror.targets.es_client import Client  # noqa: PLC0415
    from querymirror.targets.es_index import AliasedIndex  # noqa: PLC0415

    own = cast("ElasticsearchTarget", findings.spec.target)
    path: FieldPath = ("target", "index") if own.index_config is None else ("target", "index_config")
    client = Client(address)
    try:
        index = AliasedIndex(findings.spec, own, client)
        # Parses settings and mappings as the index's creation would, and keeps nothing of it.
        template = {"index_patterns": [index.physical(columns)], "priority": 2**31 - 1, "template": index.config(columns)}
        client.call("POST", "/_index_template/_simulate", template)
    except TerminalError as err:
        _tell_refusal(findings, path, err)
    else:
        _foreseen(findings, target, columns, path)
    finally:
        client.close()


def _tell_refusal(findings: Findings, path: FieldPath, err: TerminalError) -> None:
    answer = getattr(err.__cause__, "body", b"")
    try:
        body = json.loads(answer)
    except ValueError:  # a proxy's page: no answer of Elasticsearch
        raise err from None
    if not isinstance(body, dict) or body.get("status") != HTTPStatus.BAD_REQUEST:
        raise err
    cause = body["error"]
    while "caused_by" in cause:
        cause = cause["caused_by"]
    findings.error(path, f"Elasticsearch refuses these settings and mappings: {str(cause.get('reason')).rstrip('.')}.", "Correct the index configuration.")
