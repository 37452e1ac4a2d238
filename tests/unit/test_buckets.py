"""Buckets by ranges: every integer lies in exactly one, and the spans of some buckets hold exactly their keys."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from querymirror.buckets import GREATEST, LEAST, NO_KEYS, Buckets, Span
from querymirror.records import Batch

pytestmark = pytest.mark.unit

KEYS = st.integers(LEAST, GREATEST) | st.sampled_from([LEAST, LEAST + 1, -1, 0, 1, GREATEST - 1, GREATEST]) | st.integers(-5000, 5000)
SPANS = st.tuples(KEYS, KEYS).map(lambda ends: Span(low=min(ends), high=max(ends)))


@given(spans=st.lists(SPANS, min_size=1, max_size=4), most=st.sampled_from([64, 100, 4096]))
@example(spans=[Span(low=LEAST, high=GREATEST)], most=4096)
@example(spans=[Span(low=7, high=7)], most=64)
def test_a_cut_is_as_narrow_as_it_may_be(spans: list[Span], most: int) -> None:
    """No span holds more than `most` ranges, and half as wide ones would be too many for one of them."""
    cut = Buckets.over(spans, most)
    assert max((span.high >> cut.shift) - (span.low >> cut.shift) + 1 for span in spans) <= most
    assert cut.shift == 0 or max((span.high >> cut.shift - 1) - (span.low >> cut.shift - 1) + 1 for span in spans) > most


@given(keys=st.lists(KEYS, min_size=1, max_size=20), shift=st.integers(0, 63), chosen=st.integers(0, 19))
@example(keys=[5, 7, 6], shift=0, chosen=1)  # two buckets and the one key between them
def test_spans_hold_the_keys_of_their_buckets(keys: list[int], shift: int, chosen: int) -> None:
    """A key lies in one span of the buckets that are meant if its own is, else in none; no span reaches beyond what a bigint holds."""
    numbers = {key >> shift for key in keys[: chosen + 1]}
    spans = Buckets(shift=shift).meaning(numbers).spans()
    for key in keys:
        assert sum(span.low <= key <= span.high for span in spans) == (key >> shift in numbers)
    assert all(LEAST <= span.low <= span.high <= GREATEST for span in spans)
    assert all(a.high + 1 < b.low for a, b in pairwise(spans)), "neighbours are one span"


def test_no_keys() -> None:
    """A side without rows adds nothing to the other's ends, and two of them are cut like one key."""
    assert NO_KEYS.joined(Span(low=3, high=9)) == Span(low=3, high=9)
    assert Buckets.over([NO_KEYS.joined(NO_KEYS)], 4096) == Buckets()


def test_a_batch_keeps_its_buckets() -> None:
    """A retried batch reads the same keys: what it went through as JSON changes nothing."""
    batch = Batch(number=0, kind="buckets", buckets=(Buckets(shift=9, numbers=(LEAST >> 9, 5)), Buckets(count=4096, numbers=(7,))))
    assert Batch.from_json(batch.to_json()) == batch
