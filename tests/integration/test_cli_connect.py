"""`validate --connect`: what it finds on real servers, where it points, and that it writes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.fix_command_line import CommandLine
from tests.fixtures.fix_elasticsearch import Indices

pytestmark = pytest.mark.integration

FILMS = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE film (id int PRIMARY KEY, title text, parts int[], mood mood, updated_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX film_updated ON film (updated_at);
INSERT INTO film SELECT n, 'film ' || n FROM generate_series(1, 30) n;
CREATE TABLE note (id int PRIMARY KEY, film_id int, body text, updated_at timestamptz);
CREATE INDEX ON note (updated_at);
INSERT INTO note VALUES (1, 1, 'first', now()), (2, 1, 'second', now());
"""
QUERY = "SELECT id, title, mood, updated_at FROM film"


@pytest.fixture
def films(command_line: CommandLine) -> CommandLine:
    """A source with films and notes."""
    command_line.change(FILMS)
    return command_line


def found(line: CommandLine, kind: str = "problems") -> list[tuple[Any, Any, str, str]]:
    """Returns what the check of the one spec finds: (line, field, what, fix)."""
    answer = line("validate", "--connect", "--json")
    assert answer.status == (1 if answer.json["files"][0]["problems"] else 0)
    return [(p["line"], p["where"], p["what"], p["fix"]) for p in answer.json["files"][0][kind]]


def test_a_good_spec(films: CommandLine) -> None:
    """Nothing is found, also once the target is there; and nothing was made."""
    films.drop("film", QUERY, source={"cursor_column": "updated_at"})
    before = films.databases.in_target("SELECT count(*) FROM pg_class")
    answer = films("validate", "--connect")
    assert (answer.status, answer.said) == (0, "include/jobs/film.yaml: ok\n1 spec(s), 0 with problems\n")
    assert films.databases.in_target("SELECT count(*) FROM pg_class") == before
    assert films("run", "film").status == 0
    assert films("validate", "--connect").said == answer.said


def test_sql_that_fails_is_pointed_into(films: CommandLine) -> None:
    """An error of the server points at the line of the SQL it means, in a file and in the spec itself."""
    (films.include / "sql" / "film.sql").write_text("-- Films.\nSELECT id,\n       titel\nFROM film\n", encoding="utf-8")
    films.drop("film", "film.sql")
    assert found(films) == [(3, "source.query", 'column "titel" does not exist (SQLSTATE 42703).', 'Perhaps you meant to reference the column "film.title".')]
    answer = films("validate", "--connect").said
    assert "include/sql/film.sql:3 source.query: " in answer
    assert "    3 |        titel\n" in answer
    spec = films.include / "jobs" / "film.yaml"
    text = spec.read_text(encoding="utf-8").replace("query: film.sql", "query: |\n    SELECT id\n    FROM nothing")
    spec.write_text(text, encoding="utf-8")
    assert found(films)[0][:3] == (4, "source.query", 'relation "nothing" does not exist (SQLSTATE 42P01).')


def test_a_table_that_may_not_be_read(films: CommandLine) -> None:
    """A missing privilege is told by EXPLAIN, before a run fails."""
    films.change("REVOKE SELECT ON film FROM reader")
    films.drop("film", QUERY)
    ((_, where, what, fix),) = found(films)
    assert (where, what) == ("source.query", "permission denied for table film (SQLSTATE 42501).")
    assert "GRANT SELECT" in fix


def test_columns_that_a_star_hides(films: CommandLine) -> None:
    """Columns of a query that only the server can list are checked there."""
    films.drop("film", "SELECT * FROM film", source={"primary_key": ["film_id"], "cursor_column": "update_at"})
    missing = found(films)
    assert [(line, where, what) for line, where, what, _ in missing] == [
        (3, "source.primary_key", "'film_id' is not a column of the query."),
        (5, "source.cursor_column", "'update_at' is not a column of the query."),
    ]
    assert missing[1][3].startswith("Did you mean updated_at? Use one of: id, title,")


def test_a_key_that_is_none(films: CommandLine) -> None:
    """A key that repeats, or is NULL, is told with examples."""
    films.change("INSERT INTO note VALUES (3, NULL, 'no film', now())")
    films.drop("film", "SELECT film_id AS id, body FROM note")
    said = [what for _, _, what, _ in found(films)]
    assert said == ["id is NULL in 1 row(s) of the query.", "id is not unique in the query: 1 (2 rows)."]


def test_indexes_that_are_missing_are_warnings(films: CommandLine) -> None:
    """A cursor without an index, an expression as a cursor, and those of changes, each with the statement that helps."""
    films.change("DROP INDEX film_updated; CREATE TABLE link (film_id int, updated_at timestamptz)")
    keys = "SELECT film_id AS id, updated_at FROM link WHERE updated_at >= %(low)s AND updated_at <= %(high)s"
    films.drop("film", QUERY, source={"cursor_column": "updated_at", "changes": [{"name": "link", "keys_sql": keys}]})
    warned = found(films, "warnings")
    assert [(where, fix) for _, where, _, fix in warned] == [
        ("source.cursor_column", 'Run in the source: CREATE INDEX CONCURRENTLY ON "public"."film" ("updated_at");'),
        ("source.changes[0].keys_sql", 'Run in the source: CREATE INDEX CONCURRENTLY ON "public"."link" ("updated_at");'),
    ]
    assert warned[0][2] == "no index begins with public.film.updated_at: each changed cycle reads the whole table."
    films.drop("film", "SELECT id, greatest(updated_at, now()) AS moved FROM film", source={"cursor_column": "moved"})
    assert found(films, "warnings")[0][2] == "'moved' is an expression: no index finds its new values, each changed cycle reads the whole query."
    answer = films("validate", "--connect")
    assert (answer.status, answer.said.splitlines()[-1]) == (0, "1 spec(s), 0 with problems, 1 with warnings")


def test_a_source_that_can_not_be_watched(films: CommandLine) -> None:
    """Where the server counts nothing, a spec that watches is told so, beside what it costs every cycle."""
    films.change(f"ALTER ROLE reader IN DATABASE {films.databases.source.schema} SET track_counts TO off")
    films.drop("film", QUERY, source={"cursor_column": "updated_at"}, watch="2s")
    fix = "Remove it, or connect to the primary, with track_counts on."
    told = found(films, "warnings")
    assert [where for _, where, _, _ in told] == ["source.conn_id", "watch"]
    assert told[1][2:] == ("it can't see what moves: track_counts is off; cycles start by the schedule alone.", fix)


def test_changes_that_do_not_fit(films: CommandLine) -> None:
    """A change whose SQL fails, or whose cursor has no bounds, is told at its own place."""
    wrong = "SELECT film_id AS id, updated FROM note WHERE updated_at >= %(low)s AND updated_at <= %(high)s"
    text = "SELECT film_id AS id, body FROM note WHERE body >= %(low)s AND body <= %(high)s"
    changes = [{"name": "wrong", "keys_sql": wrong}, {"name": "text", "keys_sql": text}]
    films.drop("film", QUERY, source={"cursor_column": "updated_at", "changes": changes})
    assert [(where, what) for _, where, what, _ in found(films)] == [
        ("source.changes[0].keys_sql", 'column "updated" does not exist (SQLSTATE 42703).'),
        ("source.changes[1].keys_sql", "its cursor 'body' is text, for which no first and last value is known."),
    ]


def test_a_target_that_lacks_privileges(films: CommandLine) -> None:
    """Each privilege that the role of the target lacks is named, with the statement that grants it."""
    films.drop("film", QUERY, on_reject="dead_letter")
    films.tamper("CREATE SCHEMA analytics; CREATE TABLE analytics.film (id int PRIMARY KEY, title text); GRANT SELECT, INSERT ON analytics.film TO analytics")
    films.tamper(f"REVOKE TEMPORARY ON DATABASE {films.databases.target.schema} FROM PUBLIC, analytics; GRANT USAGE ON SCHEMA analytics TO analytics")
    said = [(what, fix) for _, where, what, fix in found(films) if where == "target.table"]
    assert [what for what, _ in said] == [
        "role analytics may not make temporary tables, through which rows are loaded.",
        "role analytics may not make tables in analytics: refused rows can't be kept (on_reject: dead_letter).",
        "role analytics lacks UPDATE, DELETE on analytics.film.",
        "add column mood, add column updated_at: only its owner may, not role analytics.",
    ]
    assert said[2][1] == 'Run as an owner: GRANT UPDATE, DELETE ON "analytics"."film" TO "analytics";'
    for _, fix in said:
        films.tamper(fix.removeprefix("Run as an owner: "))
    assert found(films) == []
    assert films("run", "film").status == 0


def test_a_schema_that_can_not_be_made(films: CommandLine) -> None:
    """A missing schema that the role may not make is told with the statement that makes it."""
    films.drop("film", QUERY)
    films.tamper(f"ALTER DATABASE {films.databases.target.schema} OWNER TO postgres")
    ((_, where, what, fix),) = found(films)
    assert (where, what) == ("target.table", "there is no schema analytics, and role analytics may not make one.")
    films.tamper(fix.removeprefix("Run as an owner: "))
    assert found(films) == []


def test_a_target_table_that_does_not_fit(films: CommandLine) -> None:
    """What a run would refuse about the table is found without one."""
    films.tamper(
        "CREATE SCHEMA analytics AUTHORIZATION analytics; CREATE TABLE analytics.film (id int, title date); ALTER TABLE analytics.film OWNER TO analytics"
    )
    films.drop("film", QUERY)
    assert found(films)[0][2].startswith("column 'title' is text in the query and date in analytics.film")
    films.tamper("ALTER TABLE analytics.film ALTER title TYPE text")
    assert found(films)[0][2] == "analytics.film has no primary key or unique index over exactly id."


def test_servers_that_do_not_answer(films: CommandLine) -> None:
    """A connection that is not set, refused, or to nobody, is told at its field."""
    films.drop("film", QUERY)
    films.environ.delenv("AIRFLOW_CONN_ANALYTICS_DB")
    assert [(where, what) for _, where, what, _ in found(films)] == [("target.conn_id", "connection 'analytics_db' is not set.")]
    films.connect(films.databases.target)
    films.environ.setenv("AIRFLOW_CONN_MOVIES_DB", "postgresql://reader:reader@127.0.0.1:1/none")
    ((_, where, what, fix),) = found(films)
    assert (where, fix) == ("source.conn_id", "Is the server up and reachable from this worker?")
    assert "refused" in what


def test_an_index_whose_mapping_is_wrong(films: CommandLine, indexed: Indices) -> None:
    """Elasticsearch itself reads settings and mappings; what it refuses, and what they lack, is told; nothing is made."""
    name = indexed.name("film")

    def drop(properties: dict[str, Any]) -> Path:
        config = {"mappings": {"dynamic": "strict", "properties": properties}}
        return films.drop("film", QUERY, target={"type": "elasticsearch", "conn_id": "movies_es", "index": name, "index_config": config})

    drop({"id": {"type": "numbr"}})
    assert "The mapper type [numbr] declared on field [id] does not exist" in found(films)[0][2]
    drop({"id": {"type": "integer"}})
    assert "the query has column 'title' (text), the strict mapping of index_config lacks it" in found(films)[0][2]
    drop({"id": {"type": "integer"}, "title": {"type": "text"}, "mood": {"type": "keyword"}, "updated_at": {"type": "date"}})
    assert found(films) == []
    assert list(indexed.client.indices.get(index=f"{indexed.prefix}*")) == []
    assert films("run", "film").status == 0
    assert found(films) == []


def test_the_second_form(films: CommandLine) -> None:
    """In a spec of the second form problems point at its statements."""
    spec = films.include / "jobs" / "film.yaml"
    spec.write_text(
        """CREATE_TABLE_SQL: CREATE TABLE IF NOT EXISTS analytics.film (id int PRIMARY KEY, title citext)
SELECT_SOURCE_SQL: |
  SELECT id,
         title
  FROM film WHERE updated_at > %s
UPSERT_TARGET_SQL: INSERT INTO analytics.film (id, title) VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET title = EXCLUDED.title
SELECT_KEYS_SQL: SELECT id FROM film
TARGET_TABLE: analytics.film
KEY_COLUMNS: [id]
source_conn_id: movies_db
target_conn_id: analytics_db
""",
        encoding="utf-8",
    )
    films.change("DROP INDEX film_updated")
    assert [(line, where) for line, where, _, _ in found(films, "warnings")] == [(2, "SELECT_SOURCE_SQL")]
    films.change("ALTER TABLE film RENAME title TO name")
    assert [(line, where, what) for line, where, what, _ in found(films)] == [(4, "source.query", 'column "title" does not exist (SQLSTATE 42703).')]
