"""Every PostgreSQL type with the values that tools of this kind change, and what each target must make of them.

`docs/types.md` is made of this list (`python -m tests.cases.type_table`); `tests/integration/test_types.py` proves each of its cells.
"""

from __future__ import annotations

from dataclasses import dataclass

_DATE_REFUSED = "failed to parse"
_FINITE = "finite values"
_LONG_TEXT = "repeat('Ж', 200000)"


@dataclass(frozen=True)
class TypeCase:
    """One type on its way into both targets.

    Attributes:
        id: in test ids.
        type: of the source's column, as DDL.
        values: SQL expressions, one row each; neighbours hold the changes that `=` does not see. A row with NULL is added.
        stored: the table's column type, None = `type` itself.
        field: the type in the index's mapping.
        refused: values that the index refuses, with a part of the reason; they become dead letters.
        setup: DDL in the source first.
        target_setup: DDL that the target database needs.
        note: for readers of docs/types.md.
    """

    id: str
    type: str
    values: tuple[str, ...]
    stored: str | None = None
    field: str = "keyword"
    refused: tuple[tuple[str, str], ...] = ()
    setup: str = ""
    target_setup: str = ""
    note: str = ""


def _all(values: tuple[str, ...], reason: str) -> tuple[tuple[str, str], ...]:
    return tuple((value, reason) for value in values)


NUMBERS = (
    TypeCase("smallint", "smallint", ("-32768", "0", "32767"), field="short"),
    TypeCase("integer", "integer", ("-2147483648", "0", "2147483647"), field="integer"),
    TypeCase(
        "bigint", "bigint", ("9007199254740992", "9007199254740993", "-9223372036854775808", "9223372036854775807"), field="long", note="exact beyond 2^53"
    ),
    TypeCase("oid", "oid", ("0", "4294967295")),
    TypeCase(
        "numeric",
        "numeric",
        ("1.0", "1.00", "0.1", "0.1000000000000000000000000001", "12345678901234567890123456789.123456789", "1e-40"),
        field="double",
        note="the document holds every digit; Elasticsearch searches the nearest double",
    ),
    TypeCase(
        "numeric_huge",
        "numeric",
        ("1e300", "1e300 + 1", "1e400", "-1e1000"),
        field="double",
        refused=(("1e400", _FINITE), ("-1e1000", "exceeds the maximum allowed")),
        note="beyond double: refused by the index",
    ),
    TypeCase(
        "numeric_special",
        "numeric",
        ("'NaN'", "'Infinity'", "'-Infinity'", "0"),
        field="double",
        refused=_all(("'NaN'", "'Infinity'", "'-Infinity'"), _FINITE),
    ),
    TypeCase("numeric_scaled", "numeric(12,2)", ("0.10", "1234567890.12", "-0.01"), field="double"),
    TypeCase("real", "real", ("0.1", "1e-45", "3.4028235e38", "'-0'", "'0'"), field="float"),
    TypeCase("double", "double precision", ("0.1", "0.30000000000000004", "'-0'", "'0'", "5e-324", "1.7976931348623157e308"), field="double"),
    TypeCase(
        "double_special",
        "double precision",
        ("'NaN'", "'Infinity'", "'-Infinity'", "1"),
        field="double",
        refused=_all(("'NaN'", "'Infinity'", "'-Infinity'"), _FINITE),
    ),
    TypeCase("money", "money", ("'1234567.89'::numeric::money", "'-0.01'::numeric::money"), note="documents hold its text, $1,234,567.89"),
    TypeCase("boolean", "boolean", ("true", "false"), field="boolean"),
)

TIMES = (
    TypeCase("date", "date", ("'2024-02-29'", "'0001-01-01'", "'9999-12-31'"), field="date"),
    TypeCase(
        "date_special",
        "date",
        ("'infinity'", "'-infinity'", "'4713-01-01 BC'", "'5874897-12-31'", "'2024-01-01'"),
        field="date",
        refused=_all(("'infinity'", "'-infinity'", "'4713-01-01 BC'", "'5874897-12-31'"), _DATE_REFUSED),
        note="infinity, BC and years beyond 9999: refused by a date field; map it as keyword to keep them",
    ),
    TypeCase(
        "timestamptz",
        "timestamptz",
        ("'2024-03-31 01:59:59.123456+05:45'", "'2024-03-31 01:59:59.123457+05:45'", "'1883-11-18 12:03:58-05'"),
        field="date",
        stored="timestamp with time zone",
        note="microseconds stay in the document; a date field searches milliseconds",
    ),
    TypeCase(
        "timestamptz_special",
        "timestamptz",
        ("'infinity'", "'-infinity'", "'0044-03-15 12:00:00+00 BC'", "'2024-01-01 00:00:00+00'"),
        stored="timestamp with time zone",
        field="date",
        refused=_all(("'infinity'", "'-infinity'", "'0044-03-15 12:00:00+00 BC'"), _DATE_REFUSED),
    ),
    TypeCase("timestamp", "timestamp", ("'2024-10-27 02:30:00.000001'", "'2024-10-27 02:30:00'"), stored="timestamp without time zone", field="date"),
    TypeCase("timestamp0", "timestamp(0)", ("'2024-10-27 02:30:00'", "'2024-10-27 02:30:01'"), stored="timestamp(0) without time zone", field="date"),
    TypeCase("time", "time", ("'00:00'", "'23:59:59.999999'", "'24:00'"), stored="time without time zone"),
    TypeCase("timetz", "timetz", ("'12:00+00'", "'13:00+01'", "'12:00:00.5-12:30'"), stored="time with time zone"),
    TypeCase(
        "interval", "interval", ("'1 day'", "'24 hours'", "'1 mon -1 day 00:00:00.000001'", "'-178000000 years'"), note="1 day and 24 hours are two values"
    ),
    TypeCase("interval_special", "interval", ("'infinity'", "'-infinity'", "'30 days'", "'1 mon'")),
    TypeCase("interval_fields", "interval day to second(3)", ("'1 02:03:04.567'", "'0'"), stored="interval day to second(3)"),
)

TEXTS = (
    TypeCase(
        "text",
        "text",
        ("''", "'a'", "'A'", "E'tab\\t, quote \" and \\\\ line\\nfeed\\r'", "'\\N'", "'\U0001f3ac é é'", _LONG_TEXT),
        field="text",
        note="empty is not NULL",
    ),
    TypeCase("control_characters", "text", ("E'\\u0001'", "E'\\u0002'", "E'\\u001f\\u007f'", "E'\\u2028\\ufeff'"), field="text"),
    TypeCase("varchar", "varchar(5)", ("'abcde'", "'ab   '", "''"), stored="character varying(5)", field="text"),
    TypeCase("varchar_free", "varchar", ("'a'", "'a '"), stored="character varying", field="text"),
    TypeCase("char", "char(5)", ("'ab'", "'abcde'", "''"), stored="character(5)", note="padded as in the source"),
    TypeCase("bpchar", "bpchar", ("'ab'", "'ab '")),
    TypeCase("internal_char", '"char"', ("'a'", "'b'")),
    TypeCase("name", "name", ("'a'", "'b'")),
    TypeCase(
        "citext",
        "citext",
        ("'Film'", "'film'", "'FILM'"),
        setup="CREATE EXTENSION citext",
        target_setup="CREATE EXTENSION citext",
        note="the target database needs the extension",
    ),
    TypeCase("collated", "text COLLATE pg_unicode_fast", ("'ä'", "'z'", "'Z'"), stored="text", field="text", note="the values' order is the target's own"),
    TypeCase("bytea", "bytea", (r"'\x'", r"'\x00ff0a5c'", "decode(repeat('00', 100000), 'hex')"), field="binary", note="documents hold base64"),
    TypeCase("uuid", "uuid", ("'00000000-0000-0000-0000-000000000000'", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'")),
    TypeCase("xml", "xml", (), note="only NULLs tried: the test's PostgreSQL is built without libxml"),
    TypeCase("bit", "bit(3)", ("B'101'", "B'000'")),
    TypeCase("varbit", "varbit(8)", ("B'1'", "B'10'", "B''"), stored="bit varying(8)"),
)

JSON = (
    TypeCase(
        "json",
        "json",
        ('\'{"a": [1, {"b": null}]}\'', '\'{"a":  [1, {"b": null}]}\'', "E'{\\n\"a\": 1.0}'", "'{\"a\": 1.00}'"),
        field="object",
        note="spelling stays, in a document line breaks become spaces",
    ),
    TypeCase("json_scalars", "json", ("'1'", "'\"x\"'", "'null'", "'[1, \"a\", {}]'"), field="object"),
    TypeCase("json_zero", "json", ('\'{"a": "\\u0000"}\'', '\'{"a": ""}\''), field="object"),
    TypeCase(
        "json_twice",
        "json",
        ('\'{"a": 1, "a": 2}\'', "'{}'"),
        field="object",
        refused=(('\'{"a": 1, "a": 2}\'', "uplicate"),),
        note="a key that comes twice: refused by the index",
    ),
    TypeCase("json_numbers", "json", ("'[12345678901234567890123]'", "'[12345678901234567890124]'", "'[0.1000000000000000000001]'", "'[0.1]'"), field="object"),
    TypeCase("jsonb", "jsonb", ("'{\"a\": 1.0}'", "'{\"a\": 1.00}'", '\'{"a": {"": [1e400, {"b.c": "é"}]}}\'', "'null'"), field="object"),
)

ARRAYS = (
    TypeCase("integer_array", "integer[]", ("'{}'", "'{1,NULL,3}'", "'{NULL}'", "'{1}'"), field="integer"),
    TypeCase("text_array", "text[]", ("'{}'", "ARRAY['', NULL, 'NULL', 'a,b', 'q\"']"), field="text"),
    TypeCase("uuid_array", "uuid[]", ("ARRAY['00000000-0000-0000-0000-000000000001', NULL]::uuid[]", "'{}'")),
    TypeCase("numeric_array", "numeric[]", ("'{1.0}'", "'{1.00}'", "'{1,NULL}'"), field="double"),
    TypeCase("matrix", "integer[]", ("'{{1,2},{3,4}}'", "'{1,2,3,4}'"), field="integer"),
    TypeCase("array_bounds", "integer[]", ("'[0:1]={1,2}'", "'{1,2}'"), field="integer", note="a document's array has no lower bound: both are [1,2] there"),
    TypeCase(
        "timestamptz_array", "timestamptz[]", ("ARRAY['2024-01-01 00:00:00.000001+00'::timestamptz]", "'{}'"), stored="timestamp with time zone[]", field="date"
    ),
    TypeCase("jsonb_array", "jsonb[]", ("ARRAY['{\"a\": 1}'::jsonb]", "ARRAY['null'::jsonb]", "'{}'"), field="object"),
    TypeCase("varchar_array", "varchar(3)[]", ("'{abc}'", "'{\"ab \"}'"), stored="character varying(3)[]", field="text"),
)

_MOOD = "CREATE TYPE {0} AS ENUM ('sad', 'O''K', 'so so'); GRANT USAGE ON TYPE {0} TO PUBLIC"

OWN = (
    TypeCase("enum", "mood", ("'sad'", "'so so'"), stored="text", field="text", setup=_MOOD.format("mood")),
    TypeCase("enum_array", "feeling[]", ("'{sad,NULL}'", "'{\"so so\"}'"), stored="text[]", field="text", setup=_MOOD.format("feeling")),
    TypeCase(
        "domain",
        "cents",
        ("0.10", "1.00"),
        stored="numeric(12,2)",
        field="double",
        setup="CREATE DOMAIN cents AS numeric(12,2) CHECK (VALUE >= 0)",
        note="stored as its base type",
    ),
    TypeCase(
        "domain_text",
        "short_name",
        ("'ab'", "'ab '"),
        stored="character varying(5)",
        field="text",
        setup="CREATE DOMAIN short_name AS varchar(5) NOT NULL DEFAULT ''",
    ),
    TypeCase(
        "domain_array", "tags", ("'{a,NULL}'", "'{}'"), stored="text[]", field="text", setup="CREATE DOMAIN tags AS text[] CHECK (cardinality(VALUE) < 9)"
    ),
    TypeCase(
        "domain_of_domain",
        "inner_cents",
        ("0.10", "1.00"),
        stored="numeric(8,2)",
        field="double",
        setup="CREATE DOMAIN outer_cents AS numeric(8,2); CREATE DOMAIN inner_cents AS outer_cents",
    ),
    TypeCase(
        "array_of_domain", "positive[]", ("'{1,NULL}'", "'{}'"), stored="text[]", field="text", setup="CREATE DOMAIN positive AS integer CHECK (VALUE > 0)"
    ),
    TypeCase(
        "composite",
        "address",
        ("ROW('a,b', 1.0)::address", "ROW('a,b', 1.00)::address", "ROW(NULL, NULL)::address"),
        stored="text",
        field="object",
        setup="CREATE TYPE address AS (street text, number numeric)",
        note="a document holds it as an object",
    ),
    TypeCase(
        "composite_array",
        "place[]",
        ("ARRAY[ROW('a', 1)::place]", "'{}'"),
        stored="text[]",
        field="object",
        setup="CREATE TYPE place AS (street text, number integer)",
    ),
    TypeCase(
        "own_range", "float_range", ("'[1,2)'", "'(,)'", "'empty'"), stored="text", field="text", setup="CREATE TYPE float_range AS RANGE (subtype = float8)"
    ),
    TypeCase(
        "hstore",
        "hstore",
        ("'a=>1,b=>NULL'", "''"),
        setup="CREATE EXTENSION hstore",
        target_setup="CREATE EXTENSION hstore",
        field="object",
        note="the target database needs the extension; a document holds an object",
    ),
)

OTHERS = (
    TypeCase("int4range", "int4range", ("'[1,5)'", "'empty'", "'(,)'")),
    TypeCase("numrange", "numrange", ("'[1.0,2.0]'", "'[1.00,2.0]'")),
    TypeCase("tstzrange", "tstzrange", ("'[2024-01-01 00:00:00.000001+00,infinity]'", "'(,)'")),
    TypeCase("daterange", "daterange", ("'[2024-01-01,2024-02-01)'", "'[-infinity,)'")),
    TypeCase("int8multirange", "int8multirange", ("'{}'", "'{[1,3),[9007199254740993,)}'")),
    TypeCase("nummultirange", "nummultirange", ("'{[1.0,2)}'", "'{[1.00,2)}'")),
    TypeCase(
        "inet",
        "inet",
        ("'10.1.2.3'", "'::1'", "'::ffff:1.2.3.4'", "'10.1.2.3/8'"),
        field="ip",
        refused=(("'10.1.2.3/8'", "not an IP string literal"),),
        note="with a network length: refused by an ip field",
    ),
    TypeCase("cidr", "cidr", ("'10.0.0.0/8'", "'::/0'")),
    TypeCase("macaddr", "macaddr", ("'08:00:2b:01:02:03'", "'00:00:00:00:00:00'")),
    TypeCase("macaddr8", "macaddr8", ("'08:00:2b:01:02:03:04:05'", "'00:00:00:00:00:00:00:00'")),
    TypeCase("tsvector", "tsvector", ("to_tsvector('simple', 'a fat cat')", "''", "'a:1A'")),
    TypeCase("tsquery", "tsquery", ("'fat & !cat'", "'a <2> b'")),
    TypeCase("point", "point", ("'(1,2)'", "'(0.1,-0)'", "'(0.1,0)'")),
    TypeCase("line", "line", ("'{1,2,3}'", "'{0,1,0}'")),
    TypeCase("lseg", "lseg", ("'[(0,0),(1,1)]'", "'[(0,0),(2,1)]'")),
    TypeCase("box", "box", ("'(2,2),(0,0)'", "'(1,4),(0,0)'"), note="two boxes of one area are `=` for PostgreSQL, and two values here"),
    TypeCase("path", "path", ("'[(0,0),(1,1)]'", "'((0,0),(1,1))'")),
    TypeCase("polygon", "polygon", ("'((0,0),(1,1),(1,0))'", "'((0,0),(2,2),(1,0))'")),
    TypeCase("circle", "circle", ("'<(0,0),1>'", "'<(5,5),1>'")),
    TypeCase("pg_lsn", "pg_lsn", ("'0/0'", "'16/B374D848'")),
    TypeCase("jsonpath", "jsonpath", ("'$.a[*] ? (@ > 1)'", "'$'")),
    TypeCase("regclass", "regclass", ("'pg_class'", "'pg_type'"), note="its number means nothing in another database"),
)

CASES = (*NUMBERS, *TIMES, *TEXTS, *JSON, *ARRAYS, *OWN, *OTHERS)
