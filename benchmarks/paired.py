"""Measures two ways of doing a work in turn, so that what else the machine does falls on both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.results import Judge, Row


@dataclass(frozen=True)
class Sample:
    """One measurement: the number that is compared, seconds of client CPU, and what else is worth a note."""

    value: float
    cpu: float = 0.0
    notes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """The samples of both ways, in the order of measuring."""

    ours: Sequence[Sample]
    theirs: Sequence[Sample]

    def row(self, name: str, work: str, baseline: str, unit: str, *, judge: Judge, limit: float) -> Row:
        """Returns the line of the table; arguments as for `Row`."""
        ours, theirs = [s.value for s in self.ours], [s.value for s in self.theirs]
        return Row(name, work, baseline, unit, ours, theirs, judge=judge, limit=limit, notes=self.notes)

    @property
    def notes(self) -> dict[str, Any]:
        """Medians of everything else."""
        found: dict[str, Any] = {}
        for who, samples in (("ours", self.ours), ("baseline", self.theirs)):
            for name in samples[0].notes if samples else ():
                found[f"{name} ({who})"] = round(median(s.notes[name] for s in samples), 4)
            if any(s.cpu for s in samples):
                found[f"client CPU s ({who})"] = round(median(s.cpu for s in samples), 3)
        return found


def in_turn(repeats: int, ours: Callable[[], Sample], theirs: Callable[[], Sample]) -> Pair:
    """Measures A, B, A, B, ...; each call prepares its own work outside what it measures."""
    pairs = [(ours(), theirs()) for _ in range(repeats)]
    return Pair([a for a, _ in pairs], [b for _, b in pairs])
