"""`run`, `plan`, `verify`, `status` and `rejects` on real servers."""

from __future__ import annotations

import io
from typing import Any

import pytest

from querymirror.cli.run import progress
from tests.fixtures.fix_command_line import CommandLine
from tests.fixtures.fix_elasticsearch import Indices

pytestmark = pytest.mark.integration

FILMS = """
CREATE TABLE film (id int PRIMARY KEY, title text, year int, updated_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON film (updated_at);
INSERT INTO film SELECT n, 'film ' || n, 2000, now() - interval '1 day' FROM generate_series(1, 30) n;
"""
QUERY = "SELECT id, title, year, updated_at FROM film"


@pytest.fixture
def films(command_line: CommandLine) -> CommandLine:
    """A pipeline `film` over thirty films, not yet run."""
    command_line.change(FILMS)
    command_line.drop("film", QUERY, source={"cursor_column": "updated_at"})
    return command_line


def count(films: CommandLine) -> int:
    """Returns the rows of the target, 0 where there is no table."""
    if films.databases.in_target("SELECT to_regclass('analytics.film')") == [(None,)]:
        return 0
    return int(films.databases.in_target("SELECT count(*) FROM analytics.film")[0][0])


def test_run(films: CommandLine) -> None:
    """A run fills the target, says what it did, and a second one has nothing to do."""
    first = films("run", "film")
    assert (first.status, first.complained) == (0, "")
    assert "film: first run: no state" in first.said
    assert count(films) == 30
    second = films("run", "film", "--json")
    assert (second.status, second.json["outcome"], second.json["upserted"]) == (0, "quiet", 0)


def test_run_that_fails(films: CommandLine) -> None:
    """A run that fails tells the error and ends with 1, with --json as an object."""
    films.databases.server.drop_database(films.databases.target.schema or "")
    try:
        plain, as_json = films("run", "film"), films("run", "film", "--json")
    finally:
        films.databases.server.create_database(films.databases.target.schema or "", owner="analytics")
    assert (plain.status, plain.said) == (1, "")
    assert plain.complained.startswith("TerminalError: analytics_db: ")
    assert (as_json.status, as_json.json["error"]) == (1, "TerminalError")


def test_progress_is_drawn_on_a_terminal_and_vanishes(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the step and the number of its batches are drawn; elsewhere nothing is."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress("film", shown=True) as watch:
        watch("writing rows", 1, 4)
    assert "film: writing rows" in terminal.getvalue()
    assert "1/4" in terminal.getvalue()
    drawn = len(terminal.getvalue())
    with progress("film", shown=False) as watch:
        watch("writing rows", 1, 4)
    assert len(terminal.getvalue()) == drawn


def test_plan(films: CommandLine) -> None:
    """A plan shows DDL, SQL and numbers, writes nothing, and its exit status says whether a run would write."""
    before = films("plan", "film")
    assert before.status == 3
    assert 'CREATE TABLE IF NOT EXISTS "analytics"."film" ("id" integer, "title" text' in before.said
    assert QUERY in before.said
    assert before.said.endswith("Would upsert 30 rows and delete 0 rows in analytics.film.\n")
    assert (count(films), films.state.exists()) == (0, False)
    films("run", "film")
    quiet = films("plan", "film")
    assert quiet.status == 0
    assert quiet.said == "film: nothing changed\nA run would stop after this look: nothing is read, nothing is written.\n"
    films.change("UPDATE film SET title = 'other', updated_at = now() WHERE id = 7; DELETE FROM film WHERE id = 9")
    changed = films("plan", "film", "--json")
    assert (changed.status, changed.json["upserted"], changed.json["deleted"]) == (3, 1, 1)
    assert changed.json["samples"] == ["different 7", "orphan 9"]
    shown = films("plan", "film").said
    assert 'INSERT INTO "analytics"."film" AS t' in shown
    assert 'DELETE FROM "analytics"."film"' in shown
    assert "cursor window [" in shown


def test_plan_of_a_run_that_would_fail(films: CommandLine) -> None:
    """A plan whose run max_delete_share would stop ends with 1, and with leave to delete with 3."""
    films.change("INSERT INTO film SELECT n, 'more', 2000, now() FROM generate_series(31, 3000) n")
    films("run", "film")
    films.change("DELETE FROM film WHERE id > 30")
    stopped = films("plan", "film")
    assert stopped.status == 1
    assert "The run would fail: film: 2970 of 3000 target rows are no longer in the query (99%)" in stopped.said
    assert films("plan", "film", "--allow-mass-delete").status == 3


def test_plan_of_an_index(films: CommandLine, indexed: Indices) -> None:
    """The plan of an index shows its requests and the ids of documents that differ."""
    name = indexed.name("film")
    films.drop("film", QUERY, source={"cursor_column": "updated_at"}, target={"type": "elasticsearch", "conn_id": "movies_es", "index": name})
    assert f"PUT /{name}-" in films("plan", "film").said
    assert films("run", "film").status == 0
    films.change("UPDATE film SET title = 'other', updated_at = now() WHERE id = 7")
    plan = films("plan", "film", "--json")
    assert (plan.status, plan.json["upserted"], plan.json["samples"]) == (3, 1, ["different 7"])
    assert indexed.documents(name)["7"]["title"] == "film 7"


def test_verify(films: CommandLine) -> None:
    """What differs is named and repaired; the exit status tells equal from different."""
    films("run", "film")
    assert films("verify", "film").said == "film: source and target are equal.\n"
    films.tamper("UPDATE analytics.film SET title = 'wrong' WHERE id = 3; DELETE FROM analytics.film WHERE id = 4; INSERT INTO analytics.film VALUES (99)")
    look = films("verify", "film", "--no-repair")
    assert look.status == 3
    assert look.said.startswith("film: 2 missing or different, 1 orphans; nothing was written.\n")
    found = films("verify", "film", "--json")
    assert (found.status, found.json["equal"], found.json["repaired"], found.json["compared"]) == (3, False, True, True)
    assert sorted(found.json["samples"]) == ["different 3", "missing 4", "orphan 99"] == sorted(line.strip() for line in look.said.splitlines()[1:])
    assert films("verify", "film").status == 0


def test_status(films: CommandLine) -> None:
    """Each pipeline is shown with its state: never run, up to date, behind, broken, unreachable."""
    films.drop("other", "SELECT id FROM film")
    films.drop("wrong", "SELECT id FROM film", lag="soon")
    films("run", "film")
    found = films("status", "--json")
    states = {s["pipeline"]: s for s in found.json}
    assert {name: s["state"] for name, s in states.items()} == {"film": "up to date", "other": "never run", "wrong": "broken"}
    assert (found.status, states["film"]["upserted"], states["film"]["rejected"]) == (1, 30, 0)
    assert states["film"]["cursor"] is not None
    (films.include / "jobs" / "wrong.yaml").unlink()
    films.change("DELETE FROM film WHERE id = 1")
    behind = films("status")
    assert behind.status == 0
    assert "behind" in behind.said
    assert "public.film: 0 inserted, 0 updated, 1 deleted" in behind.said
    films.environ.setenv("AIRFLOW_CONN_MOVIES_DB", "postgresql://reader:reader@127.0.0.1:1/none")
    gone = films("status", "--json")
    assert (gone.status, {s["state"] for s in gone.json}) == (1, {"unreachable"})
    assert (films("status", "--offline", "--json").status, states["film"]["last_change"] != "") == (0, True)


@pytest.mark.parametrize("kind", ["table", "index"])
def test_rejects(films: CommandLine, request: pytest.FixtureRequest, kind: str) -> None:
    """Refused rows are listed, replayed by key or all, and dropped."""
    target: dict[str, Any] = {"type": "postgres", "conn_id": "analytics_db", "table": "analytics.film"}
    if kind == "index":
        indexed: Indices = request.getfixturevalue("indexed")
        mapping = {"mappings": {"dynamic": "strict", "properties": {"id": {"type": "long"}, "year": {"type": "short"}}}}
        target = {"type": "elasticsearch", "conn_id": "movies_es", "index": indexed.name("film"), "index_config": mapping, "omit": ["title", "updated_at"]}
    else:
        target["create_sql"] = (
            "CREATE TABLE IF NOT EXISTS analytics.film (id int PRIMARY KEY, title text, year int CHECK (year < 9999), updated_at timestamptz)"
        )
    films.drop("film", QUERY, source={"cursor_column": "updated_at"}, target=target, on_reject="dead_letter")
    films.change("UPDATE film SET year = 99999 WHERE id IN (5, 6)")
    assert films("run", "film", "--json").json["rejected"] == 2
    listed = films("rejects", "film", "--json")
    assert (listed.status, len(listed.json)) == (0, 2)
    first, second = sorted(r["key"] for r in listed.json)
    assert first in films("rejects", "film").said
    again = films("rejects", "film", "--replay")
    assert (again.status, again.said) == (3, "0 of 2 went through or are gone from the query, 2 are refused still.\n")
    films.change("UPDATE film SET year = 2000 WHERE id = 5")
    assert films("rejects", "film", "--replay", "--key", first, "--json").json == {"replayed": 1, "passed": 1, "rejected": 0}
    unknown = films("rejects", "film", "--drop", "--key", "none")
    assert (unknown.status, unknown.complained) == (2, f"No rejected row has the key none. Rejected: {second}.\n")
    assert films("rejects", "film", "--drop").said == "1 row(s) forgotten.\n"
    assert films("rejects", "film").said == "film: no rejected rows.\n"
