"""The REST API inside a real api-server: what it tells of pipelines and what it does with them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from tests.fixtures.fix_api import SHAPE, Client
from tests.fixtures.fix_deployment import Deployment, wait_until

pytestmark = pytest.mark.acceptance


def test_the_list_and_a_pipeline_tell_what_happened(admin: Client, deployment: Deployment, films: str, film_count: int) -> None:
    """After a cycle the list has state, lag, counts of rows and the cycle; the detail has the spec, tasks and cursors."""
    wait_until(lambda: admin.row(films)["day"]["finished"] >= 1, "the totals of the day, which are read every ten seconds")
    row = admin.row(films)
    assert (row["state"], row["health"]["level"], row["last"]["outcome"], row["last"]["upserted"]) == ("idle", "good", "changed", film_count)
    assert 0 <= row["lag_seconds"] < 3600
    assert (row["cycles"][0]["read"], row["day"]["read"] >= film_count, row["may_edit"]) == (film_count, True, True)
    detail = admin.ask("GET", f"/pipelines/{films}").json()
    assert detail["text"] == (deployment.include / "jobs" / f"{films}.yaml").read_text()
    assert {task["task"] for task in detail["tasks"]} >= {"detect_changes", "extract", "commit"}
    assert detail["spec"]["source"]["primary_key"] == ["film_id"]
    assert detail["cursor_after"]
    assert [stream["name"] for stream in detail["streams"]] == ["main"]
    counts = admin.ask("GET", f"/pipelines/{films}/counts").json()
    assert (counts["source"], counts["target"], counts["rejects"], counts["error"]) == (film_count, film_count, 0, "")


def test_the_list_is_sent_again_only_when_it_moved(admin: Client, films: str) -> None:
    """The page asks every few seconds: an unchanged list is answered with 304 and no body."""
    assert admin.row(films)
    first = admin.ask("GET", "/pipelines")
    again = admin.ask("GET", "/pipelines", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_columns_and_drift(admin: Client, films: str, deployment: Deployment) -> None:
    """The columns of both sides are shown; one that the target lost is named."""
    found = admin.ask("GET", f"/pipelines/{films}/schema").json()
    assert {column["name"]: column["key"] for column in found["columns"]} == {"film_id": True, "title": False, "rating": False, "updated_at": False}
    assert found["drift"] == []
    deployment.in_target(f"ALTER TABLE analytics.{films} DROP COLUMN rating")
    answer = admin.ask("GET", f"/pipelines/{films}/schema")
    deployment.in_target(f"ALTER TABLE analytics.{films} ADD COLUMN rating double precision")
    assert "rating" in " ".join(answer.json().get("drift") or ["no drift"]), answer.text


def test_run_pause_resume_reset(admin: Client, films: str, site: Deployment) -> None:
    """A run is done as asked; a paused pipeline refuses one and says how to go on; a reset forgets the state."""
    asked = admin.ask("POST", f"/pipelines/{films}/run", json={"mode": "full_refresh"})
    assert asked.status_code == 202
    assert site.finish(films, asked.json()["run_id"]) == "success"
    assert site.api.run(films, asked.json()["run_id"])["conf"]["mode"] == "full_refresh"
    assert admin.ask("POST", f"/pipelines/{films}/pause").json() == {"done": f"{films} is paused."}
    wait_until(lambda: admin.row(films)["state"] == "paused", "the state to be paused")
    refused = admin.ask("POST", f"/pipelines/{films}/run")
    assert (refused.status_code, refused.json()["code"], refused.json()["fix"]) == (409, "paused", "Resume it first.")
    assert admin.ask("POST", f"/pipelines/{films}/resume").status_code == 200
    assert site.state(films) is not None
    assert admin.ask("POST", f"/pipelines/{films}/reset").status_code == 200
    assert site.state(films) is None


def test_a_window_is_read_and_moves_no_state(admin: Client, films: str, site: Deployment) -> None:
    """A run over a window gets it as the trigger form would give it."""
    body = {"window": {"low": "2000-01-01", "high": "2001-01-01"}}
    run_id = admin.ask("POST", f"/pipelines/{films}/run", json=body).json()["run_id"]
    assert site.finish(films, run_id) == "success"
    assert site.api.run(films, run_id)["conf"] == {"mode": "incremental", "window_low": "2000-01-01", "window_high": "2001-01-01"}


def test_a_pipeline_is_made_changed_and_removed(admin: Client, site: Deployment, film_count: int) -> None:
    """POST writes a spec that Airflow picks up, refuses to write it twice; PUT needs the text that was changed; DELETE removes the file."""
    spec = site.spec("api_made")
    site.dropped.append("api_made")
    plan = admin.ask("POST", "/pipelines/api_made/plan", json={"spec": spec}).json()
    assert (plan["counts"]["source"], plan["target_exists"], plan["plan"]["full"]) == (film_count, False, True)
    assert admin.ask("POST", "/pipelines", json={"id": "api_made", "spec": spec}).status_code == 201
    assert yaml.safe_load((site.include / "jobs" / "api_made.yaml").read_text()) == spec
    assert admin.row("api_made")["state"] == "never run"
    again = admin.ask("POST", "/pipelines", json={"id": "api_made", "spec": spec})
    assert (again.status_code, again.json()["code"]) == (409, "exists")
    site.api.wait_for_dags(["api_made"])
    etag = admin.ask("GET", "/pipelines/api_made").json()["etag"]
    changed = yaml.safe_dump({**spec, "description": "Changed"}).encode()
    headers = {"Content-Type": "application/yaml", "If-Match": etag}
    assert admin.ask("PUT", "/pipelines/api_made", content=changed, headers=headers).status_code == 200
    assert admin.row("api_made")["description"] == "Changed"
    stale = admin.ask("PUT", "/pipelines/api_made", content=changed, headers=headers)
    assert (stale.status_code, stale.json()["code"]) == (412, "changed")
    assert admin.ask("DELETE", "/pipelines/api_made").status_code == 200
    assert not (site.include / "jobs" / "api_made.yaml").exists()
    assert [path.name for path in (site.include / "jobs").glob(".*")] == [], "no half-written file is left"


WRONG = {
    "not allowed": {"target": {"type": "postgres", "conn_id": "analytics_db", "table": "public.films"}},
    "unknown field": {"colour": "red"},
    "no such file": {"source": {"conn_id": "movies_db", "query": "../../etc/passwd.sql", "primary_key": ["a"]}},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_spec_is_told_and_not_written(admin: Client, site: Deployment, wrong: dict[str, Any]) -> None:
    """Targets that are not allowed, unknown fields and files outside the include folder are refused with line and fix."""
    spec = yaml.safe_dump(site.spec("api_wrong", **wrong))
    found = admin.ask("POST", "/pipelines/api_wrong/validate", json={"spec": spec}).json()
    assert not found["valid"]
    assert all(problem["line"] and problem["what"] and problem["fix"] for problem in found["problems"])
    assert {problem["file"] for problem in found["problems"]} == {"include/jobs/api_wrong.yaml"}
    refused = admin.ask("POST", "/pipelines", json={"id": "api_wrong", "spec": spec})
    assert (refused.status_code, refused.json()["code"], set(refused.json())) == (422, "spec_invalid", SHAPE)
    assert not (site.include / "jobs" / "api_wrong.yaml").exists()


def test_a_failure_is_told_in_words_without_secrets(admin: Client, site: Deployment) -> None:
    """A run that fails leaves what, where and how to fix in list and detail; no password, address or path is in any answer."""
    source = {"conn_id": "nowhere_db", "query": "SELECT 1 AS a", "primary_key": ["a"]}
    site.install("api_fails", source=source, retries=0)
    run_id = admin.ask("POST", "/pipelines/api_fails/run").json()["run_id"]
    assert site.finish("api_fails", run_id) == "failed"
    wait_until(lambda: admin.row("api_fails")["error"] is not None, "the list, which is read every 1.5 seconds")
    row = admin.row("api_fails")
    assert (row["state"], row["health"]["level"], set(row["error"])) == ("failed", "bad", SHAPE)
    assert "refused" in row["error"]["what"]
    assert row["error"]["fix"] == "Is the server up and reachable from this worker?"
    answers = [
        admin.ask("GET", path) for path in ("/pipelines", "/pipelines/api_fails", "/pipelines/api_fails/counts", "/pipelines/api_fails/schema", "/health")
    ]
    answers.append(admin.ask("POST", "/pipelines/api_fails/plan"))
    for answer in answers:
        for secret in ("127.0.0.1", "reader:reader", "postgresql://", str(site.include)):
            assert secret not in answer.text, answer.url
    assert answers[3].status_code == 503


def test_a_broken_spec_is_in_the_list_with_its_fix(admin: Client, site: Deployment) -> None:
    """A file that can't be used is a failed pipeline with line and fix, first in the list; the others go on."""
    site.drop("api_broken", {"source": {}, "target": {}})
    wait_until(lambda: admin.ask("GET", "/pipelines").json()["pipelines"][0]["id"] == "api_broken", "it to be first in the list")
    first = admin.row("api_broken")
    assert (first["state"], first["error"]["code"]) == ("failed", "spec_invalid")
    assert re.match(r"include/jobs/api_broken.yaml:\d+ ", first["error"]["where"])
    assert admin.ask("GET", "/pipelines/api_broken").json()["problems"]


def test_refused_rows_are_listed_replayed_and_dropped(admin: Client, site: Deployment) -> None:
    """Rows the table refuses are counted and listed with the reason; a replay tries them again; dropping forgets them."""
    create = (
        "CREATE TABLE IF NOT EXISTS analytics.api_refuses "
        "(film_id uuid PRIMARY KEY, title text, rating float8 CONSTRAINT low CHECK (rating < 4.5), updated_at timestamptz)"
    )
    target = {"type": "postgres", "conn_id": "analytics_db", "table": "analytics.api_refuses", "create_sql": create}
    site.install("api_refuses", target=target, on_reject="dead_letter")
    bad = int(site.in_source("SELECT count(*) FROM content.film_work WHERE rating >= 4.5")[0][0])
    assert bad > 1, "nothing would be refused"
    site.cycle("api_refuses")
    wait_until(lambda: admin.row("api_refuses")["last"] is not None, "the list, which is read every 1.5 seconds")
    row = admin.row("api_refuses")
    assert (row["health"]["level"], row["last"]["rejected"]) == ("warn", bad)
    listed = admin.ask("GET", "/pipelines/api_refuses/rejects").json()
    assert listed["total"] == bad
    assert "low" in listed["rejects"][0]["reason"]
    key = listed["rejects"][0]["key"]
    assert admin.ask("POST", "/pipelines/api_refuses/rejects/replay", json={"keys": [key]}).json()["refused"] == 1
    assert admin.ask("DELETE", "/pipelines/api_refuses/rejects", content=json.dumps({"keys": [key]}), headers={"Content-Type": "application/json"}).json() == {
        "done": "1 row(s) were dropped."
    }
    site.in_target("ALTER TABLE analytics.api_refuses DROP CONSTRAINT low")
    assert admin.ask("POST", "/pipelines/api_refuses/rejects/replay").json() == {"read": bad - 1, "written": bad - 1, "refused": 0}
    assert admin.ask("GET", "/pipelines/api_refuses/rejects").json()["total"] == 0
