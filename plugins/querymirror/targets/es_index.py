"""The index behind the alias that readers use: made, found, switched.

Readers know the alias `movies`; documents live in `movies-<hash of settings and mappings>`. A changed mapping gives a new hash, so the new
index is filled beside the old one and the alias moves in one step; an interrupted fill goes on in the same index.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from querymirror.errors import SchemaError
from querymirror.facts import Column
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.target import ElasticsearchTarget
from querymirror.targets.es_client import Client, write_alias
from querymirror.targets.es_mapping import DELETED_AT, generated_mapping, mapping_changes, unmapped

_HASH_LENGTH = 8


class AliasedIndex:
    """The alias, and the index this spec's settings and mappings belong in."""

    def __init__(self, spec: PipelineSpec, target: ElasticsearchTarget, client: Client) -> None:
        self._spec, self._target, self._client = spec, target, client
        self.alias = target.index

    def current(self) -> str | None:
        """Returns the index the alias points at, None where there is no alias.

        Raises:
            SchemaError: the name is an index or an alias of several.
        """
        found = self._client.call("GET", f"/_alias/{self.alias}", missing_ok=True)
        if not found:
            if self._client.call("GET", f"/{self.alias}/_settings", params={"filter_path": "*.settings.index.uuid"}, missing_ok=True):
                message = f"{self.alias!r} is an index; querymirror needs the name as an alias, so that it can replace the index behind it in one step."
                raise SchemaError(message, where=self._spec.id, fix="Delete or rename that index (its documents come again), or choose another target.index.")
            return None
        if len(found) > 1:
            message = f"alias {self.alias!r} points at several indices: {', '.join(sorted(found))}."
            raise SchemaError(message, where=self._spec.id, fix="Leave one of them under the alias.")
        return str(next(iter(found)))

    def config(self, columns: Sequence[Column]) -> dict[str, Any]:
        """Returns settings and mappings: the spec's, or made from the query's columns."""
        given = self._target.index_config
        config: dict[str, Any] = json.loads(json.dumps(given)) if given is not None else generated_mapping(columns, self._target.omit)
        if self._spec.delete_missing == "soft":
            config.setdefault("mappings", {}).setdefault("properties", {})[DELETED_AT] = {"type": "date"}
        return config

    def physical(self, columns: Sequence[Column]) -> str:
        """Returns the name of the index that holds this spec's documents."""
        text = json.dumps(self.config(columns), sort_keys=True)
        return f"{self.alias}-{hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]}"

    def create(self, columns: Sequence[Column]) -> tuple[str, bool]:
        """Creates the index, unless it is there; its refresh is off until `publish`. Returns its name, and whether it was made now.

        Raises:
            SchemaError: its mapping can't take the query's columns, or may not change.
        """
        name, body = self.creation(columns)
        if body is not None:
            self._client.call("PUT", f"/{name}", body)
        # Also for an index that somebody restored without it.
        self._client.call("POST", "/_aliases", {"actions": [{"add": {"index": name, "alias": write_alias(name), "is_hidden": True}}]})
        return name, body is not None

    def creation(self, columns: Sequence[Column]) -> tuple[str, dict[str, Any] | None]:
        """Returns the index's name and the body that creates it, None where it is there; refuses what `create` refuses."""
        name = self.physical(columns)
        self._require_fields(columns)
        if self._client.call("GET", f"/{name}/_settings", params={"filter_path": "*.settings.index.uuid"}, missing_ok=True):
            return name, None
        self._refuse(columns)
        config = self.config(columns)
        settings = dict(config.get("settings", {}))
        index_settings = settings.pop("index", {})
        body = {**config, "settings": {**settings, "index": {**index_settings, "refresh_interval": "-1"}}}
        body["settings"].pop("refresh_interval", None)
        return name, body

    def _require_fields(self, columns: Sequence[Column]) -> None:
        """Says at once what every single document would be refused for; a transform's documents have fields of their own."""
        given = self._target.index_config
        lacking = unmapped(given, [c for c in columns if c.name not in self._target.omit]) if given and not self._spec.transform else []
        if lacking:
            said = "; ".join(f"the query has column {c.name!r} ({c.type}), the strict mapping of index_config lacks it" for c in lacking) + "."
            raise SchemaError(said, where=self._spec.id, fix="Add it to the mapping, or to target.omit.")

    def _refuse(self, columns: Sequence[Column]) -> None:
        before = self.current() if self._target.index_config is None and self._spec.on_schema_change == "fail" else None
        if before is None:
            return
        there = self._client.call("GET", f"/{before}/_mapping")[before]["mappings"].get("properties", {})
        said = mapping_changes(columns, self._target.omit, there, before)
        if said:
            fix = "Cast or name the columns in the query, or delete the index: it is filled again."
            raise SchemaError("; ".join(said) + ".", where=self._spec.id, fix=fix)

    def publish(self, name: str, columns: Sequence[Column]) -> list[str]:
        """Makes documents visible under the alias; returns the indices that were replaced and are now gone."""
        settings = self.config(columns).get("settings", {})
        wanted = settings.get("refresh_interval") or settings.get("index", {}).get("refresh_interval") or settings.get("index.refresh_interval")
        self._client.call("POST", f"/{name}/_refresh")
        now = self.current()
        if now == name:
            return []
        self._client.call("PUT", f"/{name}/_settings", {"index": {"refresh_interval": wanted}})
        self._client.call("POST", "/_aliases", {"actions": self.switch(name, now)})
        if now is None or not self._is_ours(now):
            return []
        self._client.call("DELETE", f"/{now}", missing_ok=True)
        return [now]

    def switch(self, name: str, now: str | None) -> list[dict[str, Any]]:
        """Returns the actions that move the alias to an index, in one step."""
        actions: list[dict[str, Any]] = [{"add": {"index": name, "alias": self.alias}}]
        return actions if now is None else [*actions, {"remove": {"index": now, "alias": self.alias}}]

    def _is_ours(self, name: str) -> bool:
        head, _, tail = name.rpartition("-")
        return head == self.alias and len(tail) == _HASH_LENGTH and all(c in "0123456789abcdef" for c in tail)
