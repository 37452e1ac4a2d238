"""The REST API inside a real api-server: who may do what, what it does, and what it refuses."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import yaml
from fastapi.routing import APIRoute

from tests.fixtures.fix_deployment import MONITOR_TOKEN, Deployment, wait_until

pytestmark = pytest.mark.acceptance

ROOT = "/querymirror"
API = f"{ROOT}/api"
SHAPE = {"what", "where", "fix", "code"}
ACTING = {"POST", "PUT", "DELETE"}
PIPELINE = "api_films"


Route = tuple[str, str]


@pytest.fixture(scope="module")
def routes() -> list[Route]:
    """Every route of the app, as (method, path)."""
    with warnings.catch_warnings():
        # a library that Airflow uses imports starlette's test client
        warnings.simplefilter("ignore")
        from querymirror.api.app import create_app  # noqa: PLC0415 - the api-server's modules take seconds to import
    found = [(method, route.path) for route in create_app().routes if isinstance(route, APIRoute) for method in route.methods]
    assert len(found) > 20, "the walk would prove nothing"
    return sorted(found)


class Client:
    """One user of the API."""

    def __init__(self, url: str, user: str | None) -> None:
        self.http = httpx.Client(base_url=url, timeout=90)
        if user:
            token = self.http.post("/auth/token", json={"username": user, "password": user}).json()["access_token"]
            self.http.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """Sends a request; `path` is below /querymirror/api."""
        return self.http.request(method, f"{API}{path}", **kwargs)

    def row(self, pipeline: str) -> dict[str, Any]:
        """Returns a pipeline's line of the list."""
        found = [row for row in self.ask("GET", "/pipelines").json()["pipelines"] if row["id"] == pipeline]
        assert found, f"{pipeline} is not in the list"
        return dict(found[0])


@pytest.fixture(scope="module")
def admin(deployment: Deployment) -> Iterator[Client]:
    """Somebody who may do everything."""
    client = Client(deployment.server.url, "admin")
    yield client
    client.http.close()


@pytest.fixture(scope="module")
def viewer(deployment: Deployment) -> Iterator[Client]:
    """Somebody who may read."""
    client = Client(deployment.server.url, "viewer")
    yield client
    client.http.close()


@pytest.fixture(scope="module")
def films(deployment: Deployment) -> Iterator[str]:
    """A pipeline that has run once."""
    deployment.install(PIPELINE)
    deployment.cycle(PIPELINE)
    yield PIPELINE
    (deployment.include / "jobs" / f"{PIPELINE}.yaml").unlink(missing_ok=True)


def address(path: str, pipeline: str) -> str:
    """Fills a route's path in."""
    return ROOT + path.replace("{pipeline}", pipeline).replace("{name}", "app.js")


def body_for(method: str, path: str) -> dict[str, Any]:
    """A body that a route can't use, so that walking it changes nothing; for a new pipeline one whose name may be asked about."""
    if (method, path) == ("POST", "/api/pipelines"):
        return {"json": {"id": "by_a_viewer", "spec": "source: {}"}}
    return {"json": {"nonsense": 1}} if method in ACTING and not path.endswith(("/pause", "/resume", "/reset")) else {}


def test_every_route_asks_for_a_login(deployment: Deployment, routes: list[Route]) -> None:
    """Without a token each route answers 401 in the one shape of errors, whatever it is asked."""
    with httpx.Client(base_url=deployment.server.url) as nobody:
        answers = {route: nobody.request(route[0], address(route[1], PIPELINE), **body_for(*route)) for route in routes}
    assert {route: seen(answer) for route, answer in answers.items()} == dict.fromkeys(routes, (401, "not_logged_in"))


def test_a_viewer_reads_and_does_not_act(viewer: Client, films: str, routes: list[Route]) -> None:
    """With read rights each GET is answered and each other request refused with 403, in the one shape."""
    answers = {route: viewer.http.request(route[0], address(route[1], films), **body_for(*route)) for route in routes}
    assert {route: answer.text for route, answer in answers.items() if route[0] == "GET" and answer.status_code != 200} == {}
    acting = [route for route in routes if route[0] != "GET"]
    assert {route: seen(answers[route]) for route in acting} == dict.fromkeys(acting, (403, "forbidden"))


def test_every_error_has_one_shape(admin: Client, deployment: Deployment, routes: list[Route]) -> None:
    """With all rights a pipeline that is not there, or a body that means nothing, is an error in the one shape that tells no secret."""
    for method, path in routes:
        answer = admin.http.request(method, address(path, "not_there").replace("app.js", "nothing.js"), **body_for(method, path))
        wrong = "{" in path or method in ACTING
        assert (400 <= answer.status_code < 500) is wrong, f"{method} {path}: {answer.text}"
        if wrong:
            status, code = seen(answer)
            assert status, code
            assert answer.json()["what"], path
            assert answer.json()["fix"], path
        assert str(deployment.include) not in answer.text


def seen(answer: httpx.Response) -> tuple[int, str]:
    """Returns status and code of an error; fails where it is not of the one shape."""
    body = answer.json()
    assert set(body) == SHAPE, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    return answer.status_code, str(body["code"])


@pytest.mark.parametrize("path", ["/nothing", "/pipelines/a/b/c", "/pipelines/..%2f..%2fetc", "/pipelines/.hidden", f"/pipelines/{'x' * 300}"])
def test_addresses_that_lead_nowhere(admin: Client, path: str) -> None:
    """Unknown addresses and names with path tricks are errors in the one shape."""
    answer = admin.ask("GET", path)
    assert answer.status_code in {404, 422}
    assert set(answer.json()) == SHAPE


def test_the_list_and_a_pipeline_tell_what_happened(admin: Client, deployment: Deployment, films: str) -> None:
    """After a cycle the list has state, lag, counts of rows and the cycle; the detail has the spec, tasks and cursors."""
    wait_until(lambda: admin.row(films)["day"]["finished"] >= 1, "the totals of the day, which are read every ten seconds")
    row = admin.row(films)
    assert (row["state"], row["health"]["level"], row["last"]["outcome"], row["last"]["upserted"]) == ("idle", "good", "changed", 1000)
    assert 0 <= row["lag_seconds"] < 3600
    assert (row["cycles"][0]["read"], row["day"]["read"] >= 1000, row["may_edit"]) == (1000, True, True)
    detail = admin.ask("GET", f"/pipelines/{films}").json()
    assert detail["text"] == (deployment.include / "jobs" / f"{films}.yaml").read_text()
    assert {task["task"] for task in detail["tasks"]} >= {"detect_changes", "extract", "commit"}
    assert detail["spec"]["source"]["primary_key"] == ["film_id"]
    assert detail["cursor_after"]
    assert [stream["name"] for stream in detail["streams"]] == ["main"]
    counts = admin.ask("GET", f"/pipelines/{films}/counts").json()
    assert (counts["source"], counts["target"], counts["rejects"], counts["error"]) == (1000, 1000, 0, "")


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


def test_a_pipeline_is_made_changed_and_removed(admin: Client, site: Deployment) -> None:
    """POST writes a spec that Airflow picks up, refuses to write it twice; PUT needs the text that was changed; DELETE removes the file."""
    spec = site.spec("api_made")
    site.dropped.append("api_made")
    plan = admin.ask("POST", "/pipelines/api_made/plan", json={"spec": spec}).json()
    assert (plan["counts"]["source"], plan["target_exists"], plan["plan"]["full"]) == (1000, False, True)
    assert admin.ask("POST", "/pipelines", json={"id": "api_made", "spec": spec}).status_code == 201
    assert yaml.safe_load((site.include / "jobs" / "api_made.yaml").read_text()) == spec
    assert admin.row("api_made")["state"] == "never run"
    again = admin.ask("POST", "/pipelines", json={"id": "api_made", "spec": spec})
    assert (again.status_code, again.json()["code"]) == (409, "exists")
    site.api.wait_for_dags(["api_made"], timeout=60)
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


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{n}: &{n} [{','.join([f'*{p}'] * 9)}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True))


@pytest.mark.parametrize(
    ("request_of", "status", "code"),
    [
        pytest.param({"content": b"x: " + b"y" * 1_100_000, "headers": {"Content-Type": "application/yaml"}}, 413, "too_large", id="oversized"),
        pytest.param(
            {"content": (b"x" * 60_000 for _ in range(20)), "headers": {"Content-Type": "application/yaml"}}, 413, "too_large", id="oversized, no length"
        ),
        pytest.param({"content": BOMB.encode(), "headers": {"Content-Type": "application/yaml"}}, 422, "spec_invalid", id="YAML bomb"),
        pytest.param({"content": b"[" * 200_000, "headers": {"Content-Type": "application/json"}}, 400, "bad_request", id="deep JSON"),
        pytest.param({"content": b"\xff\xfe", "headers": {"Content-Type": "application/yaml"}}, 400, "bad_request", id="not UTF-8"),
        pytest.param({"content": b"a=1", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}, 415, "wrong_type", id="a form"),
        pytest.param({"json": {"spec": {}, "id": "x", "path": "x"}}, 422, "bad_request", id="unknown field"),
    ],
)
def test_hostile_bodies_are_refused(admin: Client, request_of: dict[str, Any], status: int, code: str) -> None:
    """Bodies that are too large, too deep, explode or are no text of a spec are refused before they cost anything."""
    answer = admin.ask("POST", "/pipelines?id=api_hostile", **request_of)
    assert (answer.status_code, answer.json().get("code"), set(answer.json())) == (status, code, SHAPE)


@pytest.mark.parametrize("name", ["../evil", "a/b", ".hidden", "a\\b", "", "x" * 201, "a b", "a\n"])
def test_names_with_tricks_are_refused(admin: Client, deployment: Deployment, name: str) -> None:
    """A name that could leave the folder or is none for a DAG is refused, and nothing is written."""
    before = sorted(deployment.include.rglob("*"))
    answer = admin.ask("POST", "/pipelines", json={"id": name, "spec": deployment.spec("x")})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_name")
    assert sorted(deployment.include.rglob("*")) == before


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Origin": "https://evil.example"}, id="Origin"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="Sec-Fetch-Site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, id="a neighbour"),
        pytest.param({"Origin": "null"}, id="a sandboxed frame"),
    ],
)
def test_writes_from_other_sites_are_refused(admin: Client, films: str, headers: dict[str, str]) -> None:
    """A browser that was lured to another site can do nothing here, also with its user's cookie."""
    answer = admin.ask("POST", f"/pipelines/{films}/pause", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert not admin.row(films)["paused"]


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


def test_metrics_are_prometheus_text(admin: Client, films: str) -> None:
    """Each metric has its help and type, and one value a pipeline."""
    text = admin.ask("GET", "/metrics").text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values[f'querymirror_day_rows{{pipeline="{films}",kind="upserted"}}']) >= 1000
    assert float(values[f'querymirror_lag_seconds{{pipeline="{films}"}}']) > 0
    assert values[f'querymirror_state{{pipeline="{films}",state="idle"}}'] == "1"
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


def test_a_cycle_sends_its_counts_as_airflows_own_metrics(deployment: Deployment, films: str) -> None:
    """Where Airflow has statsd, each changed cycle sends its counts and seconds under the pipeline's name."""
    deployment.cycle(films, {"mode": "full_refresh"})
    deployment.metrics.settimeout(10)
    seen: dict[str, str] = {}
    while f"airflow.querymirror.{films}.seconds" not in seen:
        name, value = deployment.metrics.recv(1000).decode().split(":")
        seen[name] = value
    assert seen[f"airflow.querymirror.{films}.read"] == "1000|g"
    assert seen[f"airflow.querymirror.{films}.rejected"] == "0|g"


def test_what_was_done_stands_in_the_audit_log(deployment: Deployment, films: str, admin: Client) -> None:
    """Who paused a pipeline is found in Airflow's own event log."""
    admin.ask("POST", f"/pipelines/{films}/pause")
    admin.ask("POST", f"/pipelines/{films}/resume")
    with psycopg.connect(deployment.server.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")) as conn:
        events = conn.execute("SELECT event, owner FROM log WHERE dag_id = %s AND event LIKE 'querymirror%%' ORDER BY id DESC LIMIT 2", [films]).fetchall()
    assert events == [("querymirror_resume", "admin"), ("querymirror_pause", "admin")]


def test_openapi_describes_every_route(admin: Client, routes: list[Route]) -> None:
    """The description has each route of the API, and the body of those that take a spec."""
    described = admin.ask("GET", "/openapi.json").json()["paths"]
    hidden = {"/page", "/ui/{name}", "/api/openapi.json"}
    assert {(method.upper(), path) for path, methods in described.items() for method in methods} == {r for r in routes if r[1] not in hidden}
    assert "application/yaml" in described["/api/pipelines"]["post"]["requestBody"]["content"]


def test_the_page_is_framed_by_airflow_only_and_loads_nothing_from_elsewhere(admin: Client) -> None:
    """The page's policy names this origin alone, and its files hold no address of another one."""
    answer = admin.http.get(f"{ROOT}/page")
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'self'" in policy
    assert "script-src 'self';" in policy
    for file in (Path(__file__).parents[2] / "plugins/querymirror/ui").iterdir():
        addresses = set(re.findall(r"https?://[^\s\"'`]+", file.read_text())) - {"http://www.w3.org/2000/svg"}
        assert not addresses, file.name
