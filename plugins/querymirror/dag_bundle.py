"""A DAG bundle that has its DAG file parsed when a spec has changed, and hardly ever otherwise.

One Python file makes all DAGs. Airflow can't see that a YAML file beside it has changed, so it has to parse that file all the time: with a thousand
specs that is more than half of what Airflow costs. This bundle looks at the include folder itself, and asks for a parse as Airflow's REST API does
(`PUT /parseDagFile`), so that `[dag_processor] min_file_process_interval` may be minutes.
"""

from __future__ import annotations

import math
import time
from typing import Any

from airflow.dag_processing.bundles.local import LocalDagBundle

from querymirror.spec.loader import default_include
from querymirror.spec.stamps import Stamps, stamps


class SpecsBundle(LocalDagBundle):
    """The DAGs folder; at each refresh it looks whether a file of the include folder was added, changed or removed.

    Args:
        dag_file: path below the bundle of the file that makes the DAGs.
        asks_again: seconds after a change at which that file is asked for once more, longer than it takes to parse: Airflow drops a request for
            a file that it is parsing at that moment.
        settings: those of Airflow's `LocalDagBundle`: `name`, `path`, `refresh_interval`.
    """

    def __init__(self, *, dag_file: str = "querymirror_dags.py", asks_again: float = 30.0, **settings: Any) -> None:
        super().__init__(**settings)
        self._dag_file, self._asks_again = dag_file, asks_again
        self._seen: Stamps | None = None
        self._again_at = math.inf

    def refresh(self) -> None:
        """Asks for a parse where something changed since the last refresh; the DAG processor calls this every `refresh_interval` seconds."""
        seen, now = stamps(default_include()), time.monotonic()
        if self._seen is not None and seen != self._seen:
            self._ask()
            self._again_at = now + self._asks_again
        elif now >= self._again_at:
            self._ask()
            self._again_at = math.inf
        self._seen = seen  # last: what failed is tried again by the next refresh

    def _ask(self) -> None:
        # Workers import this module too, to find the DAG file; they have no database, and need not wait for its models.
        from airflow.models.dagbag import DagPriorityParsingRequest  # noqa: PLC0415
        from airflow.utils.session import create_session  # noqa: PLC0415
        from sqlalchemy import select  # noqa: PLC0415

        mine = (DagPriorityParsingRequest.bundle_name == self.name, DagPriorityParsingRequest.relative_fileloc == self._dag_file)
        with create_session() as session:
            if session.scalar(select(DagPriorityParsingRequest).where(*mine)) is None:
                session.add(DagPriorityParsingRequest(self.name, self._dag_file))
