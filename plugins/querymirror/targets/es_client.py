"""A session with Elasticsearch: requests, errors, and the `_bulk` bodies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import elastic_transport
import elasticsearch
import msgspec
import orjson

from querymirror.connections import Address
from querymirror.errors import PipelineError, TerminalError, TransientError

REQUEST_TIMEOUT = 120  # seconds
_PASSING = {408, 429, 502, 503, 504}
_JSON = {"accept": "application/json", "content-type": "application/json"}
_NDJSON = {"accept": "application/json", "content-type": "application/x-ndjson"}


T = TypeVar("T")


class Stored(msgspec.Struct, rename={"id": "_id", "source": "_source"}):
    """A document as an answer of Elasticsearch shows it; `source` is byte for byte what was indexed."""

    id: str
    found: bool = True
    sort: list[int] = []
    source: msgspec.Raw = msgspec.Raw(b"")


class _Docs(msgspec.Struct):
    docs: list[Stored]


class _Bytes(elastic_transport.JsonSerializer):
    """Hands answers over unread: the client's own reader rounds the numbers of documents."""

    def loads(self, data: bytes) -> bytes:
        return data


def write_alias(index: str) -> str:
    """Returns the hidden alias through which an index is written."""
    return f"{index}-write"


class Client:
    """Requests to one cluster, all through the official client's transport.

    Args:
        address: the cluster; `extra` may hold `ca_certs`, `verify_certs`, `api_key`.
    """

    def __init__(self, address: Address) -> None:
        self._where = address.conn_id
        secure = address.schema == "https" or bool(address.extra.get("use_ssl"))
        options: dict[str, Any] = {name: address.extra[name] for name in ("ca_certs", "verify_certs", "api_key") if name in address.extra}
        if address.login and "api_key" not in options:
            options["basic_auth"] = (address.login, address.password or "")
        host = f"{'https' if secure else 'http'}://{address.host}:{address.port or 9200}"
        self._client = elasticsearch.Elasticsearch(host, request_timeout=REQUEST_TIMEOUT, max_retries=0, serializers={_Bytes.mimetype: _Bytes()}, **options)

    def call(self, method: str, path: str, body: Any = None, *, params: Mapping[str, Any] | None = None, missing_ok: bool = False) -> Any:
        """Sends a request and returns the JSON answer; with `missing_ok`, None for a 404."""
        data = None if body is None else orjson.dumps(body)
        try:
            with self.translated():
                return orjson.loads(self._perform(method, path, data, params, _JSON))
        except TerminalError as err:
            if missing_ok and isinstance(err.__cause__, elasticsearch.NotFoundError):
                return None
            raise

    def call_for(self, kind: type[T], path: str, body: Any) -> T:
        """Sends a POST and returns the answer as a value of a type that keeps documents as bytes."""
        with self.translated():
            return msgspec.json.decode(self._perform("POST", path, orjson.dumps(body), None, _JSON), type=kind)

    def documents(self, index: str, ids: Sequence[str]) -> list[Stored]:
        """Returns documents by id, in that order. Filters in the request would make Elasticsearch write their numbers anew."""
        return self.call_for(_Docs, f"/{index}/_mget", {"ids": list(ids)}).docs

    def bulk(self, index: str, body: bytes, *, guarded: bool = True) -> list[dict[str, Any]]:
        """Sends one `_bulk` body and returns the result of each of its documents.

        `guarded` writes through the alias that every index of ours has: an index that vanished must not come back with a mapping of
        Elasticsearch's own guess.

        Raises:
            TransientError: the index vanished.
        """
        filters = "items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason"
        with self.translated():
            params = {"filter_path": filters, **({"require_alias": "true"} if guarded else {})}
            answer = orjson.loads(self._perform("POST", f"/{write_alias(index) if guarded else index}/_bulk", body, params, _NDJSON))
        results = [next(iter(item.values())) for item in answer.get("items", [])]
        if any(r.get("error", {}).get("type") == "index_not_found_exception" for r in results):
            message = f"index {index} was deleted while this run wrote it."
            raise TransientError(message, where=self._where, fix="The next run makes it again.")
        return results

    def _perform(self, method: str, path: str, data: bytes | None, params: Mapping[str, Any] | None, headers: Mapping[str, str]) -> bytes:
        response = self._client.perform_request(method, path, params=dict(params or {}), headers=dict(headers), body=data)
        return bytes(response.body)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turns the client's errors into ours."""
        try:
            yield
        except PipelineError:
            raise
        except elasticsearch.ApiError as err:
            kind = TransientError if err.meta.status in _PASSING else TerminalError
            message = f"HTTP {err.meta.status}: {_reason(err.body)}."
            raise kind(message, where=self._where) from err
        except (elastic_transport.ConnectionError, elastic_transport.ConnectionTimeout) as err:
            fix = "Is Elasticsearch up and reachable from this worker?"
            message = f"{type(err).__name__}: {err.message}."
            raise TransientError(message, where=self._where, fix=fix) from err
        except elastic_transport.TransportError as err:
            message = f"{type(err).__name__}: {err.message}."
            raise TerminalError(message, where=self._where) from err

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()


def _reason(answer: Any) -> str:
    try:
        body = orjson.loads(answer)
    except orjson.JSONDecodeError:  # a proxy's page
        body = answer.decode(errors="replace")
    error = body.get("error") if isinstance(body, dict) else body
    if isinstance(error, dict):
        causes: Sequence[Any] = error.get("root_cause") or [error]
        return "; ".join(str(c.get("reason") or c.get("type")) for c in causes)
    return str(error)
