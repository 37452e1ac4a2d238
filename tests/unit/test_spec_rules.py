"""Rules of single values: SQL that only reads, cron expressions, names."""

from __future__ import annotations

import pytest
from croniter import croniter
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from querymirror.errors import SpecTextError
from querymirror.spec.cron import cron_problem, spread
from querymirror.spec.names import canonical_table, index_problem, split_table
from querymirror.spec.sql_rules import check_no_placeholders, check_reads, output_columns
from querymirror.spec.sql_tokens import Statement

READS = [
    "(SELECT 1) UNION (SELECT 2)",
    "TABLE film",
    "WITH x AS MATERIALIZED (SELECT 1) SELECT * FROM x",
    "SELECT 'DELETE FROM x; %s', $$ ; INTO $$, E'\\'; ', U&'d\\0061t' FROM film -- ; DELETE",
    "SELECT update, merge, x.delete, delete, (insert) FROM film",
    'SELECT "into" AS into, x.into FROM film',
    "SELECT substring(a FROM 1 FOR 2), overlay(a PLACING b FROM 1 FOR 2) FROM film",
    "SELECT a % 2, a %b, 5%2 FROM film WHERE x LIKE '%s%'",
    "SELECT ARRAY[1, 2][1], x[1:2], a->'b'->>'c', a ?| b, a @@ b, 1e5, 0xff, :x FROM film",
    "SELECT * FROM XMLTABLE('/a' PASSING b COLUMNS c int PATH 'd') AS t WHERE GROUPING SETS IS NULL",
    'SELECT фильм, "имя" FROM кино',
]


@pytest.mark.parametrize("text", READS)
def test_what_only_reads_passes(text: str) -> None:
    """No reading query is refused, whether or not a parser knows its syntax."""
    statement = Statement(text)
    assert [*check_reads(statement), *check_no_placeholders(statement)] == []


WRITES = {
    "WITH x AS (UPDATE film SET a = 1 RETURNING a) SELECT * FROM x": "the SQL writes: UPDATE.",
    "WITH x AS (SELECT 1) INSERT INTO film SELECT * FROM x": "the SQL writes: INSERT INTO.",
    "WITH x AS (SELECT 1), y AS NOT MATERIALIZED (MERGE INTO film USING x ON true WHEN MATCHED THEN DELETE) SELECT 1": "the SQL writes: MERGE INTO.",
    "SELECT a /* x */ INTO TEMP b FROM c": "SELECT INTO makes a table.",
    "SELECT a FROM c FOR NO KEY UPDATE": "FOR NO locks rows of the source.",
    "((SELECT 1) UNION (SELECT 2 FROM c FOR SHARE))": "FOR SHARE locks rows of the source.",
    "EXPLAIN SELECT 1": "the SQL begins with 'EXPLAIN'.",
    "COPY film TO '/tmp/x'": "the SQL begins with 'COPY'.",
}


@pytest.mark.parametrize(("text", "what"), WRITES.items())
def test_what_writes_is_refused(text: str, what: str) -> None:
    """Data-changing WITH, SELECT INTO, row locks and other statements are named."""
    assert [p.what for p in check_reads(Statement(text))] == [what]


COLUMNS = {
    'SELECT a, b.c, d AS e, "F", G AS "H" FROM x': ["a", "c", "e", "F", "H"],
    "WITH x AS (SELECT z FROM y) SELECT a FROM x": ["a"],
    "SELECT DISTINCT ON (a, b) c, d FROM x": ["c", "d"],
    "SELECT ALL a, count(*), b::int, c d FROM x": ["a", None, None, None],
    'SELECT a AS from, b AS "x,y", (SELECT c FROM d) AS e': ["from", "x,y", "e"],
    "(SELECT a FROM x) UNION ALL SELECT b FROM y": ["a"],
    "SELECT *, a FROM x": None,
    "SELECT x.* FROM x": None,
    "VALUES (1, 2)": None,
}


@pytest.mark.parametrize(("text", "expected"), COLUMNS.items())
def test_columns_that_are_plain_to_see(text: str, expected: list[str | None] | None) -> None:
    """Names are told only where they are certain."""
    assert output_columns(Statement(text)) == expected


GOOD_CRON = ["*/5 * * * *", "0 0 1 1 *", "1,2,3-5/2 0-23 * JAN-dec SUN,mon-fri", "0 0 31 2 1", "59 23 29 2 *", "0 0 * * 7"]
BAD_CRON = {
    "": "it has 0 field(s), not five",
    "* * * * * *": "it has 6 field(s), not five",
    "60 * * * *": "'60' is not a minute (0 to 59)",
    "* * 0 * *": "'0' is not a day of month (1 to 31)",
    "* * * foo *": "'foo' is not a month (1 to 12)",
    "5/10 * * * *": "'5/10': a step needs a range or *, such as */10",
    "*/0 * * * *": "'*/0' has a step of 0, which a minute can't make",
    "5-1 * * * *": "'5-1' runs backwards",
    "*-5 * * * *": "'*-5' is not a minute",
    "1,,2 * * * *": "'' is not a minute",
    "0 0 30 2 *": "it names a day that none of its months has",
    "\u0661 * * * *": "'\u0661' is not a minute (0 to 59)",
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param("*/5 * * * *", {"*/5 * * * *"}, id="without H nothing changes"),
        pytest.param("H/5 * * * *", {f"{first}-59/5 * * * *" for first in range(5)}, id="minute with a step"),
        pytest.param("H 3 * * *", {f"{minute} 3 * * *" for minute in range(60)}, id="minute"),
        pytest.param("0 h * * mon", {f"0 {hour} * * mon" for hour in range(24)}, id="hour"),
    ],
)
def test_h_spreads_pipelines_over_the_field(text: str, wanted: set[str]) -> None:
    """Many names reach every value, each name always the same one, and croniter takes all of them."""
    found = {name: spread(text, name) for name in map("pipeline{}".format, range(2000))}
    assert set(found.values()) == wanted
    assert all(spread(text, name) == cron for name, cron in found.items())
    assert all(cron_problem(cron) is None and croniter.is_valid(cron) for cron in wanted)


@pytest.mark.parametrize("text", ["H/0 * * * *", "H/99 * * * *", "HH * * * *", "* * H * *", "H"])
def test_h_where_it_means_nothing_is_refused(text: str) -> None:
    """A step that the field can't make, another field and half an expression stay what they are, and are told as wrong."""
    assert spread(text, "films") == text
    assert cron_problem(text) is not None


@pytest.mark.parametrize("text", GOOD_CRON)
def test_cron_expressions_pass(text: str) -> None:
    """What cron takes is taken."""
    assert cron_problem(text) is None


@pytest.mark.parametrize(("text", "what"), BAD_CRON.items())
def test_wrong_cron_expressions_are_refused(text: str, what: str) -> None:
    """Each wrong field is named."""
    assert cron_problem(text) == what


_ITEM = st.from_regex(r"(\*|[0-9]{1,2}|[a-z]{3})(-([0-9]{1,2}|[a-z]{3}))?(/[0-9]{1,2})?", fullmatch=True)


@settings(deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_ITEM | st.just("*"), min_size=5, max_size=5).map(" ".join))
@example("0 0 29 2 *")
def test_the_scheduler_takes_every_cron_expression_that_passes(text: str) -> None:
    """What passes here, croniter, which schedules in Airflow, takes too."""
    if cron_problem(text) is None:
        assert croniter.is_valid(text), text


TABLES = {
    "a.b": ("a", "b"),
    "A.B": ("a", "b"),
    'a."B c"': ("a", "B c"),
    '"a.b"."c""d"': ("a.b", 'c"d'),
    "t": ("public", "t"),
    " a . b ": ("a", "b"),
    "схема.ТАБЛИЦА": ("схема", "ТАБЛИЦА"),
}


@pytest.mark.parametrize(("text", "expected"), TABLES.items())
def test_table_names_as_postgresql_reads_them(text: str, expected: tuple[str, str]) -> None:
    """Quotes, folding and the public schema; the one spelling reads back as the same table."""
    assert split_table(text) == expected
    assert split_table(canonical_table(text)) == expected


@pytest.mark.parametrize("text", ["", "a.", ".a", "a.b.c", "a b", 'a."', 'a.""', "a.1", "a;b", "a.*", "a." + "я" * 32, "a.b -- c\n.d.e", "'a'.b"])
def test_what_is_no_table_is_refused(text: str) -> None:
    """Anything but one or two identifiers of at most 63 bytes is refused."""
    with pytest.raises(SpecTextError):
        split_table(text)


@pytest.mark.parametrize("name", ["movies", "movies-2024.05", "кино", "a_b+c"])
def test_index_names_pass(name: str) -> None:
    """What Elasticsearch takes is taken."""
    assert index_problem(name) is None


@pytest.mark.parametrize(
    "name", ["", ".", "..", "-a", "_a", "+a", ".a", "A", "a b", "a,b", "a#b", "a:b", "a*", "a?", 'a"', "a<", "a>", "a|", "a\\b", "a/b", "a\n", "я" * 120]
)
def test_what_elasticsearch_refuses_is_refused(name: str) -> None:
    """Each rule for the names of indices is kept."""
    assert index_problem(name)
