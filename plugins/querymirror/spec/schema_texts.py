"""What editors show of each field beside its model: an example, and words where the model has none."""

from __future__ import annotations

from typing import Any

_FIRST = {"conn_id": "movies_db", "query": "film_dim.sql", "primary_key": ["film_id"], "cursor_column": "updated_at"}
_TABLE = {"type": "postgres", "conn_id": "analytics_db", "table": "analytics.film_dim"}
_MAIL = {
    "path": "airflow.providers.smtp.notifications.smtp.SmtpNotifier",
    "kwargs": {"to": "data@example.org", "subject": "{{ dag_run.dag_id }}: {{ reason }}"},
}

TEXTS: dict[tuple[str, str], str] = {
    ("PipelineSpec", "description"): "Shown in Airflow.",
    ("PipelineSpec", "source"): "Where rows come from: a query over a PostgreSQL.",
    ("PipelineSpec", "target"): "Where rows go to: a PostgreSQL table or an Elasticsearch index, told apart by type.",
    ("PipelineSpec", "after"): "Pipelines it follows.",
    ("PipelineSpec", "tags"): "Of the DAG; at most 100 characters each.",
    ("PipelineSpec", "owner"): "Of the DAG.",
    ("PostgresSource", "type"): "The kind of source.",
    ("PostgresTarget", "type"): "A PostgreSQL table.",
    ("ElasticsearchTarget", "type"): "An Elasticsearch index.",
    ("Settings", "allowed_targets"): "What may be written; nothing else ever is.",
    ("Settings", "defaults"): "Values of fields that a spec leaves out, and the connections.",
    ("Settings", "on_failure"): "Notifiers by a name of your own, called when a run failed or missed its deadline.",
    ("Settings", "error_log_dir"): "Folder of one .log file a pipeline with its errors; a relative one lies beside the include folder.",
    ("AllowedTarget", "conn_id"): "Airflow connection.",
    ("AllowedTarget", "tables"): "Tables in their one spelling; * and ? match.",
    ("AllowedTarget", "indices"): "Indices; * and ? match.",
}

EXAMPLES: dict[tuple[str, str], list[Any]] = {
    ("PipelineSpec", "description"): ["One row per film, for the dashboards"],
    ("PipelineSpec", "source"): [_FIRST],
    ("PipelineSpec", "target"): [_TABLE, {"type": "elasticsearch", "conn_id": "movies_es", "index": "movies", "index_config": "movies.json"}],
    ("PipelineSpec", "schedule"): ["*/5 * * * *", "0 6 * * mon-fri", None],
    ("PipelineSpec", "watch"): ["2s", "1m", None],
    ("PipelineSpec", "delete_missing"): ["hard", "soft", "off"],
    ("PipelineSpec", "keys_sql"): ["film_keys.sql", "SELECT id AS film_id FROM content.film_work"],
    ("PipelineSpec", "lag"): [60, 120, 0],
    ("PipelineSpec", "batch_size"): [500_000, 50_000],
    ("PipelineSpec", "parallelism"): [2, 8],
    ("PipelineSpec", "retries"): [2, 5],
    ("PipelineSpec", "retry_delay"): [1, 30],
    ("PipelineSpec", "max_delete_share"): [0.5, 0.1],
    ("PipelineSpec", "on_reject"): ["fail", "dead_letter"],
    ("PipelineSpec", "on_schema_change"): ["add_columns", "fail"],
    ("PipelineSpec", "reconcile_every"): [3600, 86_400],
    ("PipelineSpec", "verify_schedule"): ["0 3 * * 0", None],
    ("PipelineSpec", "deadline"): [900, None],
    ("PipelineSpec", "transform"): ["transforms.films:to_document"],
    ("PipelineSpec", "after"): [["persons"]],
    ("PipelineSpec", "tags"): [["films", "search"]],
    ("PipelineSpec", "owner"): ["data-team"],
    ("PipelineSpec", "paused"): [True],
    ("PostgresSource", "type"): ["postgres"],
    ("PostgresSource", "conn_id"): ["movies_db"],
    ("PostgresSource", "query"): ["film_dim.sql", "SELECT id AS film_id, title, updated_at FROM content.film_work"],
    ("PostgresSource", "primary_key"): [["film_id"], ["film_id", "person_id"]],
    ("PostgresSource", "cursor_column"): ["updated_at", None],
    ("PostgresSource", "changes"): [[{"name": "person", "keys_sql": "movies_changed_by_person.sql"}]],
    ("PostgresSource", "statement_timeout"): [3600, 600],
    ("Change", "name"): ["person"],
    ("Change", "keys_sql"): ["movies_changed_by_person.sql"],
    ("PostgresTarget", "type"): ["postgres"],
    ("PostgresTarget", "conn_id"): ["analytics_db"],
    ("PostgresTarget", "table"): ["analytics.film_dim", 'analytics."Film Dim"'],
    ("PostgresTarget", "create_sql"): ["film_dim_table.sql"],
    ("PostgresTarget", "omit"): [["updated_at"]],
    ("ElasticsearchTarget", "type"): ["elasticsearch"],
    ("ElasticsearchTarget", "conn_id"): ["movies_es"],
    ("ElasticsearchTarget", "index"): ["movies"],
    ("ElasticsearchTarget", "index_config"): ["movies.json"],
    ("ElasticsearchTarget", "omit"): [["updated_at"]],
    ("Settings", "allowed_targets"): [[{"conn_id": "analytics_db", "tables": ["analytics.*"]}]],
    ("Settings", "on_failure"): [{"mail": _MAIL}],
    ("Settings", "error_log_dir"): ["/var/log/querymirror"],
    ("Notifier", "path"): [_MAIL["path"]],
    ("Notifier", "kwargs"): [_MAIL["kwargs"]],
    ("Settings", "defaults"): [{"source_conn_id": "movies_db", "schedule": "*/5 * * * *"}],
    ("AllowedTarget", "conn_id"): ["analytics_db"],
    ("AllowedTarget", "tables"): [["analytics.*"]],
    ("AllowedTarget", "indices"): [["movies", "persons"]],
}

UPPER: dict[str, dict[str, Any]] = {
    "CREATE_TABLE_SQL": {
        "description": "Begins CREATE TABLE IF NOT EXISTS, makes TARGET_TABLE, writes its columns out.",
        "examples": ["CREATE TABLE IF NOT EXISTS analytics.film (film_id uuid PRIMARY KEY, title text)"],
    },
    "SELECT_SOURCE_SQL": {
        "description": "One SELECT that ends in a condition with a placeholder, on the cursor.",
        "examples": ["SELECT id AS film_id, title FROM content.film_work WHERE updated_at > %s"],
    },
    "UPSERT_TARGET_SQL": {
        "description": "INSERT INTO TARGET_TABLE with every column, as many %s, ON CONFLICT (...) DO UPDATE SET c = EXCLUDED.c.",
        "examples": ["INSERT INTO analytics.film (film_id, title) VALUES (%s, %s) ON CONFLICT (film_id) DO UPDATE SET title = EXCLUDED.title"],
    },
    "SELECT_KEYS_SQL": {"description": "Selects exactly KEY_COLUMNS: same names, same order.", "examples": ["SELECT id AS film_id FROM content.film_work"]},
    "TARGET_TABLE": {"description": "schema.table; without a schema it lies in public.", "examples": ["analytics.film"]},
    "KEY_COLUMNS": {"description": "Columns of TARGET_TABLE by which orphans are found: a list, or 'a, b'.", "examples": [["film_id"], "film_id"]},
    "source_conn_id": {"description": "Airflow connection of the source; from settings.yaml when left out.", "examples": ["movies_db"]},
    "target_conn_id": {"description": "Airflow connection of the target; from settings.yaml when left out.", "examples": ["analytics_db"]},
}
