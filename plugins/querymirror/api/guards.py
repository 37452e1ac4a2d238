"""Refuses, before anything is read, what no honest client of this API sends."""

from __future__ import annotations

from urllib.parse import urlsplit

from airflow.configuration import conf
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from querymirror.api.datamodels import ErrorBody
from querymirror.api.problems import answer

MAX_BODY = 1_000_000  # bytes; a spec may have as many
_READING = {"GET", "HEAD", "OPTIONS"}
_SAME = {"same-origin", "none"}


class Guard:
    """Refuses cross-site writes and oversized bodies.

    A browser says where a request comes from (`Sec-Fetch-Site`, `Origin`); other clients send neither and are no danger:
    no cookie of a user goes with their requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = _cross_site(scope, headers) or _too_large(headers.get("content-length"))
        if refusal is not None:
            await answer(*refusal)(scope, receive, send)
            return
        body = _Bounded(receive)
        if scope["method"] not in _READING and headers.get("content-length") is None and not await body.fits():
            await answer(*_oversized())(scope, receive, send)
            return
        await self._app(scope, body, send)


class _Bounded:
    """A body without a declared length, read up to the limit before the app sees any of it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._held: list[Message] = []

    async def fits(self) -> bool:
        size = 0
        while True:
            message = await self._receive()
            self._held.append(message)
            size += len(message.get("body", b""))
            if size > MAX_BODY:
                return False
            if message["type"] != "http.request" or not message.get("more_body"):
                return True

    async def __call__(self) -> Message:
        return self._held.pop(0) if self._held else await self._receive()


def _cross_site(scope: Scope, headers: Headers) -> tuple[int, ErrorBody] | None:
    if scope["method"] in _READING:
        return None
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if site is not None and site not in _SAME:
        return _foreign(site)
    if site is None and origin is not None and urlsplit(origin).netloc not in {headers.get("host"), urlsplit(conf.get("api", "base_url", fallback="")).netloc}:
        return _foreign(origin)
    return None


def _foreign(origin: str) -> tuple[int, ErrorBody]:
    fix = "Use the page inside Airflow, or a client that is no browser with a token from /auth/token."
    return 403, ErrorBody(what=f"a write from another site ({origin[:80]}) is refused.", where="", fix=fix, code="cross_site")


def _too_large(length: str | None) -> tuple[int, ErrorBody] | None:
    if length is None or (length.isdecimal() and int(length) <= MAX_BODY):
        return None
    return _oversized()


def _oversized() -> tuple[int, ErrorBody]:
    fix = "A spec has less; move long SQL to files under include/sql."
    return 413, ErrorBody(what=f"the body has more than {MAX_BODY:,} bytes.", where="", fix=fix, code="too_large")
