"""`validate --connect`: a spec against the servers that it names. Nothing is written."""

from __future__ import annotations

from pathlib import Path

from querymirror.cli.check_source import TIMEOUT, check_source
from querymirror.cli.check_target import check_target
from querymirror.cli.findings import Finding, Findings
from querymirror.cli.session import opened_spec
from querymirror.connections import Address, address_from_env
from querymirror.errors import TerminalError
from querymirror.facts import Column
from querymirror.pg.session import connect
from querymirror.spec.loader import load_settings, load_spec
from querymirror.spec.settings import Settings


def connected(file: Path, include: Path) -> list[Finding]:
    """Checks a spec that is good by itself against its source and its target.

    Raises:
        SpecError: it is not good by itself.
    """
    settings = load_settings(include)
    findings = Findings(load_spec(file, include, settings), file, include)
    source, target = (_address(findings, part) for part in ("source", "target"))
    if source is not None and target is not None:
        _check(findings, source, target, settings)
    return findings.found


def _address(findings: Findings, part: str) -> Address | None:
    conn_id = findings.spec.source.conn_id if part == "source" else findings.spec.target.conn_id
    try:
        return address_from_env(conn_id)
    except TerminalError as err:
        findings.error((part, "conn_id"), err.what, err.fix)
        return None


def _check(findings: Findings, source: Address, target: Address, settings: Settings) -> None:
    found: list[tuple[Column, ...] | None] = []
    with opened_spec(findings.spec, settings) as cycle:

        def look() -> None:
            with connect(source, read_only=True, statement_timeout=TIMEOUT) as conn:
                found.append(check_source(findings, cycle.source, conn))

        findings.checked(("source", "conn_id"), look)
        if found and found[0] is not None:
            check_target(findings, cycle.target, target, found[0])
