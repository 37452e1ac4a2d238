"""The servers that all tools share, what they hold, and the changes that all of them see."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.profiles import Profile
from benchmarks.stage import Stage
from devstack import postgres
from devstack.postgres import PostgresServer

CHANGE_ROWS = "UPDATE events SET amount = amount + 1, updated_at = (SELECT max(updated_at) FROM events) + interval '10 minutes' WHERE id %% %s = 0"
DELETE_ROWS = (
    "DELETE FROM events WHERE id IN (SELECT (SELECT min(id) FROM events WHERE id > g * %(step)s AND id %% 100 <> 0) FROM generate_series(0, %(n)s - 1) g)"
)
RENAME = """UPDATE content.person SET full_name = full_name || '.', updated_at = (SELECT max(updated_at) FROM content.person) + interval '10 minutes'
             WHERE id IN (SELECT id FROM content.person ORDER BY id LIMIT %s)"""
DELETE_FILMS = "DELETE FROM content.film_work WHERE id IN (SELECT id FROM content.film_work ORDER BY md5(id::text) LIMIT %s)"
GONE = 10


class Yard(Stage):
    """The stage of the other benchmarks, with a folder for what the tools are and keep.

    The environments stay when the servers go: a second run installs nothing.
    """

    timeout = 300.0
    """Seconds that one run of one tool may take."""

    late = 900.0
    """Seconds after the start of a run from which no round is repeated."""

    def __init__(self, root: Path, profile: Profile, say: Callable[[str], None]) -> None:
        super().__init__(root, profile, say)
        self.known: dict[str, Any] = {}
        """What was computed of the source; a change empties it."""
        self.begun = time.monotonic()

    @property
    def environments(self) -> Path:
        """The folder of all virtual environments."""
        return self.root.parent / "peers"

    @property
    def work(self) -> Path:
        """The folder of what the tools keep between runs."""
        return self.root / "peers-work"

    @cached_property
    def postgres(self) -> PostgresServer:
        """PostgreSQL as in the other benchmarks, but with the WAL that pgsync asks for; the same for all."""
        self.say("starting PostgreSQL")
        extra = {"shared_buffers": self.profile.shared_buffers, "max_wal_size": "8GB", "checkpoint_timeout": "30min", "wal_level": "logical"}
        return postgres.start(self.root, extra=extra)

    def change_rows(self) -> None:
        """Changes rows spread over the narrow table; their cursor lies ten minutes above the last."""
        self.known.clear()
        self.execute("source", CHANGE_ROWS, (self.events // self.profile.changed,))

    def delete_rows(self) -> None:
        """Deletes rows far from each other."""
        self.known.clear()
        self.execute("source", DELETE_ROWS, {"step": self.events // GONE, "n": GONE})

    def rename_people(self) -> None:
        """Renames people; the cursor lies ten minutes above the last."""
        self.known.clear()
        self.execute("source", RENAME, (self.profile.renamed,))

    def delete_films(self) -> None:
        """Deletes films with their links."""
        self.known.clear()
        self.execute("source", DELETE_FILMS, (GONE,))

    def stay(self) -> None:
        """Changes nothing."""

    def clear(self, folder: Path) -> None:
        """Empties a tool's folder."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
