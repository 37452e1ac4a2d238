"""The page and its two files; no build step, nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter
from fastapi.responses import FileResponse, JSONResponse
from starlette.requests import Request

from querymirror.errors import RequestError

router = APIRouter(include_in_schema=False)

_UI = Path(__file__).resolve().parents[2] / "ui"
_SCRIPT = "text/javascript; charset=utf-8"
_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    **dict.fromkeys(("app.js", "charts.js", "detail.js", "form.js", "lib.js", "list.js", "theme.js"), _SCRIPT),
}
# framed by Airflow only; scripts and styles from here only
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)
_HEADERS = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}


@router.get("/page")
def page(user: GetUserDep) -> FileResponse:  # noqa: ARG001 - a login is all it takes
    """Returns the page."""
    return _file("index.html")


@router.get("/ui/{name}")
def file(name: str, user: GetUserDep) -> FileResponse:  # noqa: ARG001 - as above
    """Returns a file of the page."""
    return _file(name)


@router.get("/api/openapi.json")
def openapi(request: Request, user: GetUserDep) -> JSONResponse:  # noqa: ARG001 - as above
    """Describes the API."""
    return JSONResponse(request.app.openapi())


def _file(name: str) -> FileResponse:
    if name not in _TYPES:
        message = f"there is no file {name[:60]!r}."
        raise RequestError(message, status=404, code="not_found", fix=f"There are {', '.join(_TYPES)}.")
    return FileResponse(_UI / name, media_type=_TYPES[name], headers=_HEADERS)
