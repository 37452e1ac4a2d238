"""The REST API inside a real api-server: who may do what, and what it refuses from anybody."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fixtures.fix_api import ACTING, ROOT, SHAPE, Client, Route
from tests.fixtures.fix_deployment import Deployment

pytestmark = pytest.mark.acceptance


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
        answers = {route: nobody.request(route[0], address(route[1], "any"), **body_for(*route)) for route in routes}
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
