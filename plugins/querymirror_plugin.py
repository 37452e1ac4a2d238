"""Registers the control plane with Airflow's api-server: the app and its place in the navigation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from querymirror import preload

PREFIX = "/querymirror"
App = Callable[[Any, Any, Any], Awaitable[None]]


@cache
def _made() -> App:
    from querymirror.api.app import create_app  # noqa: PLC0415 - every task and trigger loads plugins, only the api-server needs the app

    return create_app()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The control plane; made at its first request."""
    made = await asyncio.to_thread(_made)
    await made(scope, receive, send)


class QuerymirrorPlugin(AirflowPlugin):
    """REST under /querymirror/api, and one page."""

    name = "querymirror"
    listeners: list[Any] = [preload]  # noqa: RUF012 - Airflow reads a class attribute
    fastapi_apps: list[Any] = [{"app": app, "url_prefix": PREFIX, "name": "querymirror"}]  # noqa: RUF012 - as above
    external_views: list[Any] = [  # noqa: RUF012 - as above
        {
            "name": "Pipelines",
            "href": f"{PREFIX}/page",
            "destination": "nav",
            "category": "browse",
            "url_route": "pipelines",
            "icon": f"{PREFIX}/ui/icon.svg",
        }
    ]
