"""How keys are cut into buckets, whose checksums two sides compare: by a hash of the key, or by ranges of an integer key.

Ranges let an index find the rows of a bucket that differs; whatever order two servers sort texts in, integers have one order. A range's
number is the key without its last bits, so every integer has a number, whatever lay between the bounds when the cut was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

from querymirror.facts import Record

INTEGERS = {"smallint", "integer", "bigint"}
LEAST, GREATEST = -(2**63), 2**63 - 1


class Span(Record):
    """Integers from `low` to `high`, both included; none where `low` is the greater."""

    low: int = LEAST
    high: int = GREATEST

    def joined(self, other: Span) -> Span:
        """Returns the span that reaches over both."""
        return Span(low=min(self.low, other.low), high=max(self.high, other.high))


NO_KEYS = Span(low=GREATEST, high=LEAST)


class Buckets(Record):
    """A way to cut keys, and those of the buckets that are meant.

    Attributes:
        count: by a hash of the key into so many, a power of two; 0 = by ranges.
        shift: of ranges: 2 ** shift neighbouring keys are a bucket, its number is `key >> shift`.
        numbers: the buckets that are meant; empty = all.
    """

    count: int = 0
    shift: int = 0
    numbers: tuple[int, ...] = ()

    @classmethod
    def over(cls, spans: Sequence[Span], most: int) -> Self:
        """Returns the narrowest ranges of which none of some spans holds more than `most`."""
        shift = 0
        while any((span.high >> shift) - (span.low >> shift) >= most for span in spans):
            shift += 1
        return cls(shift=shift)

    def meaning(self, numbers: Iterable[int]) -> Self:
        """Returns the same cut with other buckets meant."""
        return self.model_copy(update={"numbers": tuple(sorted(numbers))})

    def spans(self) -> list[Span]:
        """Returns the keys that are meant, neighbouring ranges as one; of ranges only."""
        found: list[Span] = []
        for number in sorted(self.numbers):
            low, high = number << self.shift, (number + 1 << self.shift) - 1
            if found and found[-1].high + 1 == low:
                low = found.pop().low
            found.append(Span(low=low, high=high))
        return found
