"""The REST API inside a real api-server: health, metrics and the audit log."""

from __future__ import annotations

from contextlib import suppress

import httpx
import psycopg
import pytest

from tests.fixtures.fix_api import API, Client
from tests.fixtures.fix_deployment import MONITOR_TOKEN, Deployment, wait_until

pytestmark = pytest.mark.acceptance


def test_health_names_what_does_not_answer_within_its_bound(admin: Client, site: Deployment, films: str) -> None:
    """Airflow's parts, each server and each pipeline are told; a server that is down makes it degraded, not slow."""
    wait_until(lambda: {row["id"] for row in admin.ask("GET", "/pipelines").json()["pipelines"]} == {films}, "the list to hold this one alone")
    well = admin.ask("GET", "/health").json()
    assert set(well["airflow"].values()) == {"healthy"}
    assert {server["conn_id"]: server["ok"] for server in well["servers"]} == {"movies_db": True, "analytics_db": True}
    assert {"id": films, "state": "idle", "health": "Up to date.", "source": "ok", "target": "ok"} in well["pipelines"]
    source = {"conn_id": "nowhere_db", "query": "SELECT 1 AS a", "primary_key": ["a"]}
    site.drop("api_down", site.spec("api_down", source=source))
    wait_until(lambda: len(admin.ask("GET", "/pipelines").json()["pipelines"]) == 2, "the list to hold both")
    answer = admin.ask("GET", "/health?timeout=2")
    assert answer.json()["status"] == "degraded"
    assert {server["conn_id"] for server in answer.json()["servers"] if not server["ok"]} == {"nowhere_db"}
    assert answer.elapsed.total_seconds() < 10


def test_metrics_are_prometheus_text(admin: Client, films: str, film_count: int) -> None:
    """Each metric has its help and type, and one value a pipeline."""
    assert admin.ask("GET", f"/pipelines/{films}/counts").status_code == 200  # rows are counted when somebody asks, and told from then on
    wait_until(lambda: admin.row(films)["day"]["finished"] >= 1, "the totals of the day, which are read every ten seconds")
    text = admin.ask("GET", "/metrics").text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values[f'querymirror_day_rows{{pipeline="{films}",kind="upserted"}}']) >= film_count
    assert float(values[f'querymirror_lag_seconds{{pipeline="{films}"}}']) > 0
    assert values[f'querymirror_state{{pipeline="{films}",state="idle"}}'] == "1"
    assert values[f'querymirror_source_rows{{pipeline="{films}"}}'] == values[f'querymirror_target_rows{{pipeline="{films}"}}'] == str(film_count)
    names = {name.split("{")[0] for name in values}
    assert names == {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}


@pytest.mark.parametrize("path", ["/health", "/metrics"])
def test_a_monitoring_system_needs_its_token_and_may_nothing_else(deployment: Deployment, films: str, path: str) -> None:
    """The token of the settings opens health and metrics, sees all pipelines, and opens nothing else; another one opens nothing."""
    with httpx.Client(base_url=deployment.server.url, headers={"Authorization": f"Bearer {MONITOR_TOKEN}"}) as monitoring:
        assert films in monitoring.get(API + path).text
        assert monitoring.get(f"{API}/pipelines").status_code in {401, 403}
        assert monitoring.post(f"{API}/pipelines/{films}/run").status_code in {401, 403}
        assert monitoring.get(API + path, headers={"Authorization": f"Bearer {MONITOR_TOKEN[:-1]}"}).status_code in {401, 403}


def test_a_cycle_sends_its_counts_as_airflows_own_metrics(deployment: Deployment, films: str, film_count: int) -> None:
    """Where Airflow has statsd, each changed cycle sends its counts and seconds under the pipeline's name."""
    deployment.metrics.setblocking(False)
    with suppress(BlockingIOError):  # what earlier runs sent may fill the socket, and then ours is lost
        while deployment.metrics.recv(1000):
            pass
    deployment.cycle(films, {"mode": "full_refresh"})
    deployment.metrics.settimeout(10)
    seen: dict[str, str] = {}
    while f"airflow.querymirror.{films}.seconds" not in seen:
        name, value = deployment.metrics.recv(1000).decode().split(":")
        seen[name] = value
    assert seen[f"airflow.querymirror.{films}.read"] == f"{film_count}|g"
    assert seen[f"airflow.querymirror.{films}.rejected"] == "0|g"


def test_what_was_done_stands_in_the_audit_log(deployment: Deployment, films: str, admin: Client) -> None:
    """Who paused a pipeline is found in Airflow's own event log."""
    admin.ask("POST", f"/pipelines/{films}/pause")
    admin.ask("POST", f"/pipelines/{films}/resume")
    with psycopg.connect(deployment.server.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")) as conn:
        events = conn.execute("SELECT event, owner FROM log WHERE dag_id = %s AND event LIKE 'querymirror%%' ORDER BY id DESC LIMIT 2", [films]).fetchall()
    assert events == [("querymirror_resume", "admin"), ("querymirror_pause", "admin")]
