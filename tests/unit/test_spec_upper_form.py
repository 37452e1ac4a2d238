"""The second, upper-case form becomes the same spec, by edits of the author's own text."""

from __future__ import annotations

import pytest

from querymirror.errors import SpecTextError
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.sql_tokens import Statement
from querymirror.spec.target import PostgresTarget
from querymirror.spec.upper_rules import read_create_table, read_insert
from querymirror.spec.upper_select import final_condition, rewrite
from tests.unit.test_spec_files import valid

REWRITES = {
    "the condition alone": (
        "SELECT id, title FROM film WHERE updated_at > %s",
        "SELECT id, title, updated_at AS __cursor FROM film WHERE TRUE",
    ),
    "the last of several conditions": (
        "SELECT id, title FROM film WHERE (a OR b) AND f(x, y) >= %s;",
        "SELECT id, title, f(x, y) AS __cursor FROM film WHERE (a OR b) AND TRUE",
    ),
    "a cast of the placeholder": (
        "SELECT id, title FROM film WHERE updated_at>%s::timestamp without time zone",
        "SELECT id, title, updated_at AS __cursor FROM film WHERE TRUE",
    ),
    "names from the INSERT": (
        "SELECT film_id, upper(title) FROM film WHERE updated_at > %s",
        "SELECT film_id AS id, upper(title) AS title, updated_at AS __cursor FROM film WHERE TRUE",
    ),
    "aliases become the INSERT's names": (
        "SELECT film_id AS number, name label FROM film WHERE updated_at > %s",
        "SELECT film_id AS id, name AS title, updated_at AS __cursor FROM film WHERE TRUE",
    ),
    "an alias that GROUP BY refers to stays": (
        "SELECT film_id AS n, max(a) FROM film GROUP BY n HAVING max(updated_at) > %s",
        "SELECT film_id AS n, max(a) AS title, max(updated_at) AS __cursor FROM film GROUP BY n HAVING TRUE",
    ),
    "comments stay where they are": (
        "SELECT id, -- the key\n title -- the name, from here\nFROM film /* WHERE */ WHERE updated_at -- moves\n > %s -- end",
        "SELECT id, -- the key\n title, updated_at AS __cursor -- the name, from here\nFROM film /* WHERE */ WHERE TRUE -- end",
    ),
    "doubled per cents as the server gets them": (
        "SELECT id, title FROM film WHERE title LIKE '50%%' AND id %% 2 = 0 AND updated_at > %s",
        "SELECT id, title, updated_at AS __cursor FROM film WHERE title LIKE '50%' AND id % 2 = 0 AND TRUE",
    ),
    "AND of BETWEEN and of CASE do not end the condition": (
        "SELECT id, title FROM film WHERE id BETWEEN 1 AND 2 AND CASE WHEN a AND b THEN c ELSE d END > %s",
        "SELECT id, title, CASE WHEN a AND b THEN c ELSE d END AS __cursor FROM film WHERE id BETWEEN 1 AND 2 AND TRUE",
    ),
    "words that end a list, inside an item": (
        "SELECT a IS DISTINCT FROM b AS id, percentile_cont(0.5) WITHIN GROUP (ORDER BY c) OVER (PARTITION BY d) AS title FROM film WHERE u > %s",
        "SELECT a IS DISTINCT FROM b AS id, percentile_cont(0.5) WITHIN GROUP (ORDER BY c) OVER (PARTITION BY d) AS title, u AS __cursor FROM film WHERE TRUE",
    ),
    "a WITH before it": (
        "WITH f AS (SELECT * FROM film WHERE a > 1) SELECT id, title FROM f WHERE updated_at > %s",
        "WITH f AS (SELECT * FROM film WHERE a > 1) SELECT id, title, updated_at AS __cursor FROM f WHERE TRUE",
    ),
    "a sub-select in the list": (
        "SELECT id, (SELECT max(x) FROM y WHERE z = 1) AS title FROM film WHERE updated_at > %s",
        "SELECT id, (SELECT max(x) FROM y WHERE z = 1) AS title, updated_at AS __cursor FROM film WHERE TRUE",
    ),
}


@pytest.mark.parametrize(("given", "expected"), REWRITES.values(), ids=REWRITES.keys())
def test_the_condition_becomes_a_column(given: str, expected: str) -> None:
    """The final condition goes, its cursor comes as the last column, and nothing else of the text moves."""
    statement = Statement(given)
    assert rewrite(statement, final_condition(statement), ["id", "title"])[0] == expected


def test_the_spec_of_the_second_form() -> None:
    """Keys, columns and statements land in the fields of the first form."""
    spec: PipelineSpec = valid("upper_having")
    target = spec.target
    assert isinstance(target, PostgresTarget)
    assert (spec.source.conn_id, spec.source.cursor_column, target.omit) == ("other_db", "__cursor", ("__cursor",))
    assert spec.source.primary_key == ("film_id", "day")
    assert (target.columns, target.update_columns) == (("film_id", "day", "Stars %", "n"), ("Stars %", "n"))
    assert (spec.key_columns, spec.orphan_key) == (("day",), ("day",))
    assert str(spec.keys_sql).startswith("SELECT DISTINCT rated::date AS day")
    assert (spec.description, spec.tags, spec.retries) == ("A rating per film", ("ratings",), 3)
    assert str(target.create_sql).endswith("UNIQUE NULLS NOT DISTINCT (day, film_id)\n)")


CREATES = {
    "column constraints": ("(a int PRIMARY KEY, b text UNIQUE, c int)", [{"a"}, {"b"}]),
    "table constraints": ("(a int, b text, UNIQUE (b, a), CONSTRAINT c PRIMARY KEY (a) INCLUDE (b), CHECK (a > 0))", [{"a", "b"}, {"a"}]),
    "brackets and commas inside": ("(a numeric(3, 1) DEFAULT round(1.5, 1), b text CHECK (b IN ('x,y', 'z')), c int)", []),
    "options behind": ("(a int, b int) WITH (fillfactor = 70)", []),
}


@pytest.mark.parametrize(("columns", "unique"), CREATES.values(), ids=CREATES.keys())
def test_create_table_tells_what_is_unique(columns: str, unique: list[set[str]]) -> None:
    """PRIMARY KEY and UNIQUE are found at columns and at the table."""
    create = read_create_table(Statement(f'CREATE TABLE IF NOT EXISTS "S".t {columns}'))
    assert create.table == '"S".t'
    assert [set(u) for u in create.unique] == unique
    assert create.columns[0] == "a"


def test_insert_takes_casts_and_an_alias() -> None:
    """A cast at a placeholder and an alias of the table are understood."""
    text = 'INSERT INTO t AS x (a, "B") VALUES (%s::int, %s) ON CONFLICT (a) DO UPDATE SET "B" = EXCLUDED."B", a = excluded.a'
    insert = read_insert(Statement(text))
    assert (insert.table, insert.columns, insert.conflict, insert.updates) == ("public.t", ("a", "B"), ("a",), ("B", "a"))


def test_insert_of_a_column_twice() -> None:
    """A column listed twice is refused by its name."""
    with pytest.raises(SpecTextError) as caught:
        read_insert(Statement("INSERT INTO t (a, a) VALUES (%s, %s) ON CONFLICT (a) DO UPDATE SET a = EXCLUDED.a"))
    assert str(caught.value) == "a stands twice in the column list. Name it once."
