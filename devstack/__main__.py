"""`python -m devstack start|stop|status|clean|demo`: the embedded stack from the command line."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from devstack import airflow, elasticsearch, postgres
from devstack.elasticsearch_jars import is_cached
from devstack.errors import DevstackError

PARTS = ("postgres", "elasticsearch", "airflow")  # in the order in which they start
DEFAULT_ROOT = Path(__file__).resolve().parents[1] / ".stack"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0, or 1 where a part failed or, for `status`, is down."""
    options = _parser().parse_args(argv)
    command: Callable[[Path, Sequence[str]], bool] = {"start": start, "stop": stop, "status": status, "clean": clean, "demo": demo}[options.command]
    try:
        return 0 if command(options.root.resolve(), options.only) else 1
    except DevstackError as err:
        sys.stderr.write(f"{err}\n")
        return 1


def start(root: Path, parts: Sequence[str] = PARTS) -> bool:
    """Starts what does not run yet, and says how long each part took.

    Raises:
        DevstackError: a part does not come up; those before it stay up.
    """
    for part in PARTS:
        if part in parts:
            began = time.monotonic()
            place = _start_part(root, part)
            _say(f"{part:<14}{place:<44}{time.monotonic() - began:5.1f} s")
    return True


def stop(root: Path, parts: Sequence[str] = PARTS) -> bool:
    """Stops what runs; the data stay."""
    for part in reversed(PARTS):
        if part in parts:
            _say(f"{part:<14}{'stopped' if _stop_part(root, part) else 'was not running'}")
    return True


def status(root: Path, parts: Sequence[str] = PARTS) -> bool:
    """Says what runs and where; returns whether all of it does."""
    places = {part: _place(root, part) for part in PARTS if part in parts}
    for part, place in places.items():
        _say(f"{part:<14}{place or 'not running'}")
    return all(places.values())


def clean(root: Path, parts: Sequence[str] = PARTS) -> bool:
    """Stops what runs and removes its data and logs."""
    if "postgres" in parts:
        parts = PARTS  # Airflow's metadata live there
    stop(root, parts)
    for part in parts:
        shutil.rmtree(root / part, ignore_errors=True)
    if set(parts) == set(PARTS):
        shutil.rmtree(root, ignore_errors=True)
    return True


def demo(root: Path, parts: Sequence[str] = PARTS) -> bool:  # noqa: ARG001  the demo needs all parts
    """Starts all parts, runs the shipped pipelines twice and compares; returns whether every target equals its query."""
    from devstack.demo import run_demo  # noqa: PLC0415  its clients take a second that the other commands don't need

    return run_demo(root) == 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m devstack", description=__doc__)
    parser.add_argument("command", choices=("start", "stop", "status", "clean", "demo"))
    parser.add_argument("--root", type=Path, default=DEFAULT_ROOT, help="the stack's folder (default: .stack in the checkout)")
    parser.add_argument("--only", type=_parts, default=PARTS, metavar="PARTS", help="some parts, for example postgres,elasticsearch")
    return parser


def _parts(text: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(","))
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        message = f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}"
        raise argparse.ArgumentTypeError(message)
    return parts


def _start_part(root: Path, part: str) -> str:
    if part == "postgres":
        postgres.start(root)
    elif part == "elasticsearch":
        if not is_cached():
            _say("elasticsearch downloads its jars, 44 MB, once for all checkouts")
        elasticsearch.start(root)
    else:
        airflow.start(root)
    return _place(root, part) or "not running"


def _stop_part(root: Path, part: str) -> bool:
    if part == "airflow":
        return airflow.stop(root)
    server = postgres.running(root) if part == "postgres" else elasticsearch.running(root)
    if server is not None:
        server.stop()
    return server is not None


def _place(root: Path, part: str) -> str | None:
    if part == "postgres":
        database = postgres.running(root)
        return f"{database.host}:{database.port}" if database else None
    if part == "elasticsearch":
        search = elasticsearch.running(root)
        return search.url if search else None
    server = airflow.running(root)
    return f"{server.url} (admin/admin)" if server and server.is_running() else None


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
