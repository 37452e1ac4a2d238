"""One Airflow DAG per file in include/jobs; see docs/airflow.md."""

from __future__ import annotations

from airflow.sdk import get_parsing_context

from querymirror.dag_factory import build_dags, collector_resting
from querymirror.spec.loader import default_include

# a task process names the one DAG it needs; the dag-processor names none and gets them all
with collector_resting():
    for dag in build_dags(default_include(), only=get_parsing_context().dag_id):
        globals()[dag.dag_id] = dag
