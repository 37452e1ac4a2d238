"""What was measured: samples of ours and of the baseline, and whether that reaches what was asked for."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

Judge = Literal["ratio", "above", "at_most", "bounded", "none"]
MOST_GROWTH = 1.15
"""How much larger a memory peak may be at ten times the rows; allocators are not exact."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: of the row's group, as `--only` takes it.
        work: what was done.
        baseline: what it is compared with; empty = nothing.
        unit: of the samples.
        ours, theirs: one number a repetition, in the order of measuring.
        judge: `ratio` = ours / theirs, `above` = ours - theirs, `at_most` = ours, `bounded` = ours, which must not grow over theirs either,
            `none` = no goal was set.
        limit: what the judged number must not exceed.
        notes: further numbers, by name.
        at: when, ISO 8601.
    """

    name: str
    work: str
    baseline: str
    unit: str
    ours: Sequence[float]
    theirs: Sequence[float] = ()
    judge: Judge = "none"
    limit: float | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def median(self) -> float:
        """The median of ours."""
        return statistics.median(self.ours)

    @property
    def baseline_median(self) -> float | None:
        """The baseline's median."""
        return statistics.median(self.theirs) if self.theirs else None

    @property
    def ratio(self) -> float | None:
        """Ours / theirs, of the medians."""
        base = self.baseline_median
        return self.median / base if base else None

    @property
    def paired_ratio(self) -> float | None:
        """The median of the ratios of neighbouring samples, which noise that lasts longer than a pair does not move."""
        pairs = [a / b for a, b in zip(self.ours, self.theirs, strict=False) if b]
        return statistics.median(pairs) if pairs else None

    @property
    def judged(self) -> float | None:
        """The number that `limit` bounds."""
        base = self.baseline_median
        if self.judge == "ratio":
            return self.ratio
        if self.judge == "above":
            return None if base is None else self.median - base
        return self.median if self.judge in {"at_most", "bounded"} else None

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None = there is none."""
        judged = self.judged
        if judged is None or self.limit is None:
            return None
        grows = self.judge == "bounded" and self.ratio is not None and self.ratio > MOST_GROWTH
        return judged <= self.limit and not grows

    @property
    def goal(self) -> str:
        """The goal in words."""
        if self.limit is None:
            return ""
        words = {
            "ratio": f"<= {self.limit:g}x",
            "above": f"<= {self.limit:g} {self.unit} above",
            "at_most": f"<= {self.limit:g} {self.unit}",
            "bounded": f"<= {self.limit:g} {self.unit}, not growing",
        }
        return words.get(self.judge, "")

    def to_json(self) -> dict[str, Any]:
        """Returns the row with what is computed from it."""
        computed = {name: getattr(self, name) for name in ("median", "baseline_median", "ratio", "paired_ratio", "judged", "reached")}
        return {**asdict(self), **computed}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Row:
        """Reads what `to_json` wrote."""
        return cls(**{name: data[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Results:
    """All rows of one profile, with the machine they were measured on."""

    profile: Mapping[str, Any]
    machine: Mapping[str, Any]
    rows: Sequence[Row]

    def save(self, path: Path) -> None:
        """Writes the file whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        data = {"profile": dict(self.profile), "machine": dict(self.machine), "rows": [row.to_json() for row in self.rows]}
        fresh = path.with_suffix(".tmp")
        fresh.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        fresh.replace(path)

    @classmethod
    def load(cls, path: Path) -> Results:
        """Reads a file that `save` wrote."""
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(data["profile"], data["machine"], [Row.from_json(row) for row in data["rows"]])

    def with_rows(self, fresh: Results, order: Sequence[str]) -> Results:
        """Returns these results with the groups of `fresh` in place of the older ones; `order` is that of the groups."""
        names = {row.name for row in fresh.rows}
        rows = [*(row for row in self.rows if row.name not in names), *fresh.rows]
        return Results(fresh.profile, fresh.machine, sorted(rows, key=lambda row: order.index(row.name)))
