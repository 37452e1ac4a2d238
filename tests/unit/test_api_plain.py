"""What a reader of the API must not see is taken out of messages; what helps stays."""

from __future__ import annotations

import pytest

from querymirror.api.plain import iso, plain

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('connection to server at "10.0.0.7", port 5432 failed: FATAL: no', "connection to server failed: FATAL: no"),
        ('server at "db.internal" (10.1.2.3), port 5432 failed', "server failed"),
        ("could not use postgresql://reader:s3cret@db:5432/movies now", "could not use postgresql://*** now"),
        ("see https://user:pw@search.internal/x", "see ***"),
        ("ConnectionError: http://10.0.0.7:9200/_bulk", "ConnectionError: ***"),
        ("Connect call failed ('10.0.0.7', 5432)", "Connect call failed ***"),
        ("host=db user=reader password=s3cret dbname=movies", "host=*** user=*** password=*** dbname=***"),
        ("api_key: abcdef", "api_key: ***"),
        ("no file /opt/airflow/include/sql/a.sql there", "no file a.sql there"),
        ("include/jobs/films.yaml:12 source.query", "include/jobs/films.yaml:12 source.query"),
        ("'updated' is not a column of public.film (has: film_id, title).", "'updated' is not a column of public.film (has: film_id, title)."),
        ("GET /querymirror/api/pipelines lists them.", "GET /querymirror/api/pipelines lists them."),
        ("reads 1/2 of it, */5 * * * *", "reads 1/2 of it, */5 * * * *"),
    ],
)
def test_secrets_go_and_the_rest_stays(text: str, expected: str) -> None:
    """Passwords, connection strings, addresses and absolute paths are cut; names of files and columns are kept."""
    assert plain(text) == expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [("2026-01-02 03:04:05.6+00", "2026-01-02T03:04:05.600000+00:00"), ("", ""), ("infinity", "infinity")],
)
def test_times_are_iso_8601(moment: str, expected: str) -> None:
    """PostgreSQL's own form of a time is one that every browser reads; what is no time stays as it is."""
    assert iso(moment) == expected
