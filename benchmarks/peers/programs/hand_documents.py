"""The usual script from tables to an index: fetchmany from a server-side cursor, helpers.bulk.

`python hand_documents.py JSON`; it keeps its place, the highest cursor of each table, in a file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk

ROWS = 1_000
TABLES = ("film_work", "person", "genre")
MOVED = """
SELECT (SELECT max(updated_at) FROM content.film_work)::text, (SELECT max(updated_at) FROM content.person)::text,
       (SELECT max(updated_at) FROM content.genre)::text"""
CHANGED = """
 WHERE f.id IN (SELECT id FROM content.film_work WHERE updated_at > %(film_work)s
                UNION SELECT link.film_work_id FROM content.person JOIN content.person_film_work link ON link.person_id = person.id
                       WHERE person.updated_at > %(person)s
                UNION SELECT link.film_work_id FROM content.genre JOIN content.genre_film_work link ON link.genre_id = genre.id
                       WHERE genre.updated_at > %(genre)s)"""


def main() -> None:
    """Sends the films that have changed, with their people and genres."""
    given = json.loads(sys.argv[1])
    state, index = Path(given["state"]), given["index"]
    since = json.loads(state.read_text(encoding="utf-8")) if state.is_file() else None
    client = Elasticsearch(given["elasticsearch"], request_timeout=120)
    if since is None:
        client.indices.create(index=index, **given["config"])
        client.indices.put_settings(index=index, settings={"index": {"refresh_interval": "-1"}})
    with psycopg2.connect(given["source"]) as conn, conn.cursor() as ask, conn.cursor("films") as read:
        ask.execute(MOVED)
        now = dict(zip(TABLES, ask.fetchone(), strict=True))
        read.itersize = ROWS
        read.execute(given["query"] + CHANGED if since else given["query"], since)
        bulk(client, actions(read, index), chunk_size=ROWS)
    if since is None:
        client.indices.put_settings(index=index, settings={"index": {"refresh_interval": None}})
    client.indices.refresh(index=index)
    state.write_text(json.dumps(now), encoding="utf-8")


def actions(read: Any, index: str) -> Iterator[dict[str, Any]]:
    """Yields one action a film."""
    while rows := read.fetchmany(ROWS):
        names = [column.name for column in read.description]
        for row in rows:
            document = dict(zip(names, row, strict=True))
            del document["updated_at"]
            yield {"_index": index, "_id": document["id"], "_source": document}


if __name__ == "__main__":
    main()
