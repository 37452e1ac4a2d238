"""What was measured of each tool, written after each step, so that an interrupted run has kept what it had."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

OURS = "ours"
FILE = Path(__file__).resolve().parent.parent / "results" / "peers.json"
"""Where the full profile's results are kept."""


@dataclass(frozen=True)
class Tool:
    """What is compared, in words.

    Attributes:
        name: short, as `--only` takes it.
        label: heading of its column, with its version.
        setting: how it is run.
        lacks: what it does not do, or needs.
    """

    name: str
    label: str
    setting: str
    lacks: tuple[str, ...] = ()


@dataclass
class Outcome:
    """One tool on one work.

    Attributes:
        seconds: whole process, one number a repetition.
        cpu: seconds of the client.
        peak_mb: of the client's largest process.
        difference: what of the target is not as in the source afterwards; empty = nothing, None = not looked at.
        error: why it could not be measured; empty = it was.
    """

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)
    difference: str | None = None
    error: str = ""

    @property
    def median(self) -> float | None:
        """The median of the repetitions; None where there are none."""
        return statistics.median(self.seconds) if self.seconds and not self.error else None


@dataclass
class PeerResults:
    """All outcomes.

    Attributes:
        profile, machine: as for the other benchmarks.
        tools: by name.
        tables, documents: by work, then by tool, in the order of measuring.
    """

    profile: Mapping[str, Any]
    machine: Mapping[str, Any]
    tools: dict[str, Tool] = field(default_factory=dict)
    tables: dict[str, dict[str, Outcome]] = field(default_factory=dict)
    documents: dict[str, dict[str, Outcome]] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Writes the file whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".tmp")
        fresh.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        fresh.replace(path)

    @classmethod
    def load(cls, path: Path) -> PeerResults:
        """Reads a file that `save` wrote."""
        data = json.loads(path.read_text(encoding="utf-8"))
        tools = {name: Tool(**{**tool, "lacks": tuple(tool["lacks"])}) for name, tool in data["tools"].items()}
        groups = {
            group: {work: {tool: Outcome(**one) for tool, one in found.items()} for work, found in data[group].items()} for group in ("tables", "documents")
        }
        return cls(data["profile"], data["machine"], tools, **groups)
