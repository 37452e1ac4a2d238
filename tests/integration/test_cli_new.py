"""`new`: looks at a table or a query, proposes, asks, validates, writes, and never overwrites."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from querymirror.cli.new import write_new
from querymirror.errors import SpecError
from querymirror.spec.loader import find_spec
from tests.fixtures.fix_command_line import CommandLine
from tests.fixtures.fix_stack import CHECKOUT

pytestmark = pytest.mark.integration

TABLES = """
CREATE TABLE film (film_id int PRIMARY KEY, title text, "order" int, created_at timestamptz, updated_at timestamptz, modified timestamptz);
CREATE INDEX ON film (updated_at);
CREATE TABLE person (person_id int PRIMARY KEY, name text, updated_at timestamptz);
CREATE TABLE role (film_id int, person_id int, role text, PRIMARY KEY (person_id, film_id));
CREATE TABLE log (line text, at timestamptz);
INSERT INTO film SELECT n FROM generate_series(1, 5) n;
INSERT INTO person SELECT n FROM generate_series(1, 3) n;
INSERT INTO role SELECT f, p FROM generate_series(1, 5) f, generate_series(1, 3) p;
"""


@pytest.fixture
def line(command_line: CommandLine) -> CommandLine:
    """A source with four tables, and no specs yet."""
    command_line.change(TABLES)
    return command_line


def written(line: CommandLine) -> list[str]:
    """Returns the names of the spec files."""
    return sorted(file.name for file in (line.include / "jobs").iterdir())


def test_a_table(line: CommandLine) -> None:
    """A table gives a spec of all its columns with its primary key and its indexed cursor; it runs."""
    answer = line("new", "--table", "public.film")
    assert (answer.status, answer.complained) == (0, "")
    assert (
        (line.include / "jobs" / "film.yaml").read_text(encoding="utf-8")
        == """description: "public.film, mirrored"
source:
  conn_id: movies_db
  query: |
    SELECT film_id, title, "order", created_at, updated_at, modified
    FROM public.film
  primary_key: [film_id]
  cursor_column: updated_at
target:
  type: postgres
  conn_id: analytics_db
  table: analytics.film
"""
    )
    assert answer.said.endswith("wrote include/jobs/film.yaml; next: python -m querymirror plan film\n")
    assert line("validate", "--connect").status == 0
    assert line("run", "film", "--json").json["upserted"] == 5


def test_nothing_is_overwritten(line: CommandLine) -> None:
    """A pipeline that exists, in a file of either ending, stays as it is; so does one whose target is taken."""
    line("new", "--table", "public.film")
    before = (line.include / "jobs" / "film.yaml").read_bytes()
    again = line("new", "film", "--table", "public.person")
    assert (again.status, again.said) == (1, "")
    assert again.complained == "include/jobs/film.yaml: the pipeline 'film' exists already; nothing was overwritten. Choose another name.\n"
    (line.include / "jobs" / "film.yaml").rename(line.include / "jobs" / "film.yml")
    assert line("new", "film", "--table", "public.person").status == 1
    taken = line("new", "second", "--table", "public.film", "--target-table", "analytics.film")
    assert "the pipeline 'film' writes analytics.film of analytics_db already" in taken.complained
    assert written(line) == ["film.yml"]
    assert (line.include / "jobs" / "film.yml").read_bytes() == before


def test_a_file_that_appears_meanwhile(line: CommandLine) -> None:
    """A file that somebody else makes between the check and the write is not overwritten either."""
    path = line.include / "jobs" / "film.yaml"
    path.write_text("theirs", encoding="utf-8")
    with pytest.raises(SpecError, match=r"^include/jobs/film.yaml: the file can't be written: File exists\. Check the folder's permissions\.$"):
        write_new(path, "mine", line.include)
    assert path.read_text(encoding="utf-8") == "theirs"


def test_a_cursor_without_an_index(line: CommandLine) -> None:
    """A cursor that no index finds is proposed, with a warning and the statement that helps; it can be refused."""
    answer = line("new", "--table", "person")
    assert answer.status == 0
    assert 'CREATE INDEX CONCURRENTLY ON "public"."person" ("updated_at")' in answer.complained
    assert find_spec("person", line.include).source.cursor_column == "updated_at"
    assert line("new", "people", "--table", "person", "--cursor", "", "--show").complained == ""


def test_a_query_with_joins(line: CommandLine) -> None:
    """The key of a join is looked for among the keys of its tables, and tried on the data."""
    query = "SELECT f.film_id, f.title, p.person_id, p.name FROM film f JOIN role r USING (film_id) JOIN person p USING (person_id)"
    assert line("new", "cast", "--query", query).status == 0
    spec = find_spec("cast", line.include)
    assert (sorted(spec.source.primary_key), spec.source.cursor_column) == (["film_id", "person_id"], None)
    assert line("run", "cast", "--json").json["upserted"] == 15


def test_a_query_in_a_file(line: CommandLine) -> None:
    """A file under include/sql is named, not copied; the target may be an index."""
    (line.include / "sql" / "titles.sql").write_text("-- Titles.\nSELECT film_id, title FROM film;\n", encoding="utf-8")
    answer = line("new", "titles", "--query", "titles.sql", "--index", "titles", "--json")
    assert (answer.status, answer.json["file"], answer.json["written"]) == (0, "include/jobs/titles.yaml", True)
    assert "  query: titles.sql\n" in answer.json["spec"]
    assert "  conn_id: movies_es\n  index: titles\n" in answer.json["spec"]


def test_what_can_not_be_seen_must_be_said(line: CommandLine) -> None:
    """Without a key, and with nobody to ask, nothing is written; with a key it is."""
    answer = line("new", "--table", "log")
    assert (answer.status, answer.complained) == (2, "No primary key can be seen: give --key.\n")
    assert written(line) == []
    assert line("new", "--table", "log", "--key", "line", "--key", "at").status == 0
    assert find_spec("log", line.include).source.primary_key == ("line", "at")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--table", "nothing"], "there is no table 'nothing' that this role sees."),
        (["--query", "SELECT wrong FROM film", "x"], 'column "wrong" does not exist'),
        (["--table", "film", "--target-table", "secret.film"], "secret.film of analytics_db is not an allowed target"),
        (["--table", "film", "bad name"], "'bad name.yaml' can't name a pipeline."),
        (["--table", "film", "--cursor", "nope"], "'nope' is not a column of the query."),
    ],
    ids=["table", "query", "target", "name", "cursor"],
)
def test_what_is_wrong_is_not_written(line: CommandLine, arguments: list[str], said: str) -> None:
    """A draft that is not valid is told like a spec, and no file is made."""
    answer = line("new", *arguments)
    assert (answer.status, written(line)) == (1, [])
    assert said in answer.complained


def test_questions(line: CommandLine) -> None:
    """On a terminal each thing that was not said is asked, with what was seen as the proposal."""
    keyboard, terminal = pty.openpty()
    os.write(keyboard, b"public.film\nfilms\n\n-\n\n\n")  # table, name, key as proposed, no cursor, target and connection as proposed
    arguments = [sys.executable, "-m", "querymirror", "new", "--include", str(line.include)]
    done = subprocess.run(arguments, stdin=terminal, capture_output=True, text=True, check=False, cwd=CHECKOUT / "plugins", timeout=60)
    for end in (keyboard, terminal):
        os.close(end)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Primary key (columns, separated by commas) [film_id]: " in done.stdout
    spec = find_spec("films", line.include)
    assert (spec.source.primary_key, spec.source.cursor_column) == (("film_id",), None)


def test_show_writes_nothing(line: CommandLine) -> None:
    """--show prints the checked spec and makes no file."""
    answer = line("new", "--table", "film", "--show")
    assert (answer.status, written(line)) == (0, [])
    assert answer.said.startswith('description: "film, mirrored"\nsource:\n')
