"""The pipelines in include/jobs, as they are shipped."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from querymirror.spec.loader import load_all
from querymirror.spec.target import ElasticsearchTarget, PostgresTarget

INCLUDE = Path(__file__).resolve().parents[2] / "include"
LOADED = load_all(INCLUDE)
TABLES = {"film_dim", "film_rating_agg", "film_rentals"}
INDICES = {"movies", "persons", "genres"}
RU_EN = ["lowercase", "english_stop", "english_stemmer", "english_possessive_stemmer", "russian_stop", "russian_stemmer"]


def test_all_of_them_load() -> None:
    """Every shipped file is a valid spec, and none is missing."""
    assert {pipeline: str(error) for pipeline, error in LOADED.broken.items()} == {}
    assert set(LOADED.specs) == TABLES | INDICES


@pytest.mark.parametrize("pipeline", sorted(TABLES))
def test_tables_go_to_analytics(pipeline: str) -> None:
    """Each table pipeline writes the table of its own name from movies_db to analytics_db."""
    spec = LOADED.specs[pipeline]
    assert isinstance(spec.target, PostgresTarget)
    assert (spec.source.conn_id, spec.target.conn_id, spec.target.table) == ("movies_db", "analytics_db", f"analytics.{pipeline}")


@pytest.mark.parametrize("pipeline", sorted(INDICES))
def test_indices_keep_the_cursor_out(pipeline: str) -> None:
    """Each index pipeline writes the index of its own name, strictly mapped, without the cursor."""
    spec = LOADED.specs[pipeline]
    assert isinstance(spec.target, ElasticsearchTarget)
    assert (spec.source.conn_id, spec.target.conn_id, spec.target.index) == ("movies_db", "movies_es", pipeline)
    assert spec.target.omit == ("updated_at",) == (spec.source.cursor_column,)
    config = spec.target.index_config or {}
    assert config["mappings"]["dynamic"] == "strict"
    assert "updated_at" not in config["mappings"]["properties"]


def test_ratings_have_no_cursor() -> None:
    """film_rating_agg has the query that was asked for and no cursor, so that its whole result is compared."""
    source = LOADED.specs["film_rating_agg"].source
    query = "SELECT film_id, AVG(rating)::float8 AS avg_rating, COUNT(*)::int AS ratings_count FROM ugc.ratings GROUP BY film_id"
    assert source.query.text.splitlines()[-1] == query
    assert source.cursor_column is None


def test_rentals_use_the_second_form() -> None:
    """film_rentals gets its key, its columns and its table from the statements."""
    spec = LOADED.specs["film_rentals"]
    assert spec.source.primary_key == ("rental_id",) == spec.orphan_key
    assert spec.source.cursor_column
    assert isinstance(spec.target, PostgresTarget)
    assert spec.target.columns == ("rental_id", "film_id", "user_id", "rented_at", "returned_at", "updated_at")


def test_movies_follow_people_and_genres() -> None:
    """Films are read again when a person, a genre or one of their links moved."""
    changes = {change.name: change.keys_sql.text for change in LOADED.specs["movies"].source.changes}
    assert set(changes) == {"person", "genre", "person_film_work", "genre_film_work"}
    for text in changes.values():
        assert set(re.findall(r"%\((\w+)\)s", text)) == {"low", "high"}


@pytest.mark.parametrize("index", sorted(INDICES))
def test_index_analysis(index: str) -> None:
    """Every index analyses text with ru_en: standard tokenizer, then the six filters in order, each defined."""
    analysis = json.loads((INCLUDE / "indices" / f"{index}.json").read_text(encoding="utf-8"))["settings"]["analysis"]
    assert analysis["analyzer"]["ru_en"] == {"type": "custom", "tokenizer": "standard", "filter": RU_EN}
    assert analysis["filter"] == {
        "english_stop": {"type": "stop", "stopwords": "_english_"},
        "english_stemmer": {"type": "stemmer", "language": "english"},
        "english_possessive_stemmer": {"type": "stemmer", "language": "possessive_english"},
        "russian_stop": {"type": "stop", "stopwords": "_russian_"},
        "russian_stemmer": {"type": "stemmer", "language": "russian"},
    }


def test_movies_mapping() -> None:
    """The index of films has exactly the fields that the site's search needs."""
    mappings = json.loads((INCLUDE / "indices/movies.json").read_text(encoding="utf-8"))["mappings"]
    keyword, text = {"type": "keyword"}, {"type": "text", "analyzer": "ru_en"}
    people = {"type": "nested", "dynamic": "strict", "properties": {"id": keyword, "name": text}}
    assert mappings["properties"] == {
        "id": keyword,
        "imdb_rating": {"type": "float"},
        "genres": keyword,
        "title": {**text, "fields": {"raw": keyword}},
        "description": text,
        **{f"{role}_names": text for role in ("directors", "actors", "writers")},
        **dict.fromkeys(("directors", "actors", "writers"), people),
    }


@pytest.mark.parametrize("file", sorted((INCLUDE / "sql").glob("*.sql")), ids=lambda file: file.name)
def test_sql_files_say_what_they_are(file: Path) -> None:
    """Each SQL file begins with one comment line and is named by a job."""
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("-- ")
    assert not lines[1].startswith("--")
    assert any(file.name in job.read_text(encoding="utf-8") for job in (INCLUDE / "jobs").glob("*.yaml"))
