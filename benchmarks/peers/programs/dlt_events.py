"""dlt from table to table: `python dlt_events.py JSON`, in dlt's own virtual environment."""

from __future__ import annotations

import json
import sys

import dlt
from dlt.sources.sql_database import sql_table

MERGE = {"disposition": "merge", "strategy": "upsert"}
"""MERGE by the key: its documentation's advice for a table with one, and faster here than delete and insert."""


def main() -> None:
    """Loads everything into nothing, or what has changed since dlt's last run."""
    given = json.loads(sys.argv[1])
    table = sql_table(
        credentials=given["source"],
        schema="public",
        table="events",
        backend=given["backend"],
        chunk_size=100_000,
        reflection_level="full_with_precision",
        incremental=dlt.sources.incremental("updated_at"),
        primary_key="id",
    )
    target = dlt.destinations.postgres(given["target"])
    pipeline = dlt.pipeline(given["dataset"], destination=target, dataset_name=given["dataset"], pipelines_dir=given["folder"])
    disposition = "replace" if given["full"] else MERGE
    pipeline.run(table, write_disposition=disposition, loader_file_format="parquet").raise_on_failed_jobs()


if __name__ == "__main__":
    main()
