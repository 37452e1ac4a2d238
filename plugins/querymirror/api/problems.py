"""Every error of the API has one shape: `{what, where, fix, code}`."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from querymirror.api.datamodels import ErrorBody
from querymirror.api.plain import plain
from querymirror.errors import PipelineError, RequestError, SpecError, TransientError

log = logging.getLogger(__name__)

_WORDS: dict[int, tuple[str, str, str]] = {
    400: ("bad_request", "the request can't be read.", "See docs/control-plane.md for what this route takes."),
    401: ("not_logged_in", "a login is needed.", "Log in to Airflow, or send a token from /auth/token in the Authorization header."),
    403: ("forbidden", "you may not do this.", "Ask for the right on this DAG in Airflow."),
    404: ("not_found", "there is no such address.", "The routes are listed at /querymirror/api/openapi.json."),
    405: ("wrong_method", "this address does not take this method.", "The routes are listed at /querymirror/api/openapi.json."),
}


def answer(status: int, body: ErrorBody) -> JSONResponse:
    """Returns an error as the API answers it."""
    clean = ErrorBody(what=plain(body.what), where=plain(body.where), fix=plain(body.fix), code=body.code)
    return JSONResponse(clean.model_dump(), status_code=status, headers={"Cache-Control": "no-store"})


def body_of(error: PipelineError) -> tuple[int, ErrorBody]:
    """Returns status and body for one of our errors."""
    if isinstance(error, RequestError):
        return error.status, ErrorBody(what=error.what, where=error.where, fix=error.fix, code=error.code)
    if isinstance(error, SpecError) and error.problems:
        first, more = error.problems[0], len(error.problems) - 1
        place = f"{first.file}:{first.line}" if first.line else first.file
        what = first.what + (f" ({more} more.)" if more else "")
        return 422, ErrorBody(what=what, where=f"{place} {first.where}".strip(), fix=first.fix, code="spec_invalid")
    if isinstance(error, TransientError):
        return 503, ErrorBody(what=error.what, where=error.where, fix=error.fix or "It may pass by itself; try again.", code="unreachable")
    return 409, ErrorBody(what=error.what, where=error.where, fix=error.fix, code="refused")


def install(app: FastAPI) -> None:
    """Makes every error of the app answer in the one shape."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(PipelineError, _ours)
    app.add_exception_handler(Exception, _unknown)


async def _http(_: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    code, what, fix = _WORDS.get(status, ("failed", "the request failed.", "Try again; the api-server's log says more."))
    return answer(status, ErrorBody(what=what, where="", fix=fix, code=code))


async def _validation(_: Request, error: Exception) -> JSONResponse:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    first = found[0] if found else {"loc": (), "msg": "it can't be read"}
    where = ".".join(str(part) for part in first["loc"])
    return answer(
        422, ErrorBody(what=f"{first['msg']}.", where=where, fix="Correct the request; /querymirror/api/openapi.json has its form.", code="bad_request")
    )


async def _ours(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, PipelineError):
        return await _unknown(_, error)
    return answer(*body_of(error))


async def _unknown(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return answer(500, ErrorBody(what="the api-server failed at this.", where="", fix="Its log says why; nothing was changed.", code="failed"))
