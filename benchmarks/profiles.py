"""How much work a run of the benchmarks does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """Sizes and repetitions.

    Attributes:
        rows: of the narrow table; `changed` of them change for an incremental cycle.
        films: of the cinema; `renamed` of its persons (three to ten films) get another name.
        repeats: pairs of each work on tables and of the renamed persons; `document_repeats` of the load of documents, `start_repeats` of the start.
        quiet_rows: sizes of the tables whose quiet check is measured, each `quiet_repeats` times.
        memory_rows: the two sizes at which a worker's memory is compared.
        shared_buffers: of PostgreSQL.
        heap: of Elasticsearch.
    """

    name: str
    rows: int
    changed: int
    films: int
    renamed: int
    repeats: int
    document_repeats: int
    start_repeats: int
    quiet_rows: tuple[int, int]
    quiet_repeats: int
    memory_rows: tuple[int, int]
    shared_buffers: str = "1GB"
    heap: str = "2g"


FULL = Profile(
    name="full",
    rows=2_000_000,
    changed=20_000,
    films=100_000,
    renamed=1_000,
    repeats=5,
    document_repeats=3,
    start_repeats=9,
    quiet_rows=(10_000, 10_000_000),
    quiet_repeats=100,
    memory_rows=(100_000, 1_000_000),
)
QUICK = Profile(
    name="quick",
    rows=200_000,
    changed=2_000,
    films=10_000,
    renamed=100,
    repeats=3,
    document_repeats=3,
    start_repeats=5,
    quiet_rows=(10_000, 1_000_000),
    quiet_repeats=50,
    memory_rows=(20_000, 200_000),
    heap="1g",
)
SMOKE = Profile(
    name="smoke",
    rows=20_000,
    changed=200,
    films=300,
    renamed=10,
    repeats=1,
    document_repeats=1,
    start_repeats=1,
    quiet_rows=(1_000, 5_000),
    quiet_repeats=3,
    memory_rows=(2_000, 10_000),
    shared_buffers="128MB",
    heap="512m",
)
"""Shows that everything works; its numbers mean nothing."""

PROFILES = {profile.name: profile for profile in (FULL, QUICK, SMOKE)}
