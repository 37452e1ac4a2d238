"""Puts the control plane together."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from querymirror.api import problems
from querymirror.api.datamodels import ErrorBody
from querymirror.api.guards import Guard
from querymirror.api.routes import actions, monitoring, page, pipelines, rejects

API = "/api"
_ERRORS: dict[int | str, dict[str, Any]] = {"4XX": {"model": ErrorBody}, "5XX": {"model": ErrorBody}}


def create_app() -> FastAPI:
    """Returns the app that Airflow mounts under `/querymirror`; every route asks for a login by itself."""
    # FastAPI's own pages about the API would be open to everybody
    app = FastAPI(title="querymirror", version="1", openapi_url=None, docs_url=None, redoc_url=None)
    for router in (pipelines.router, actions.router, rejects.router, monitoring.router):
        app.include_router(router, prefix=API, responses=_ERRORS)
    app.include_router(page.router)
    app.add_middleware(Guard)
    problems.install(app)
    return app
