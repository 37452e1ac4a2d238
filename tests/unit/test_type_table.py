"""The page about types is the one that the tests' cases make."""

from __future__ import annotations

import pytest

from tests.cases.type_cases import CASES
from tests.cases.type_table import GROUPS, PAGE, render

pytestmark = pytest.mark.unit


def test_page_is_made_of_the_cases() -> None:
    """docs/types.md says what the cases say; if not: python -m tests.cases.type_table."""
    assert PAGE.read_text(encoding="utf-8") == render()


def test_every_case_is_on_the_page() -> None:
    """Each case that is tested stands in a group of the page, under an id of its own."""
    assert [case.id for group in GROUPS.values() for case in group] == [case.id for case in CASES]
    assert len({case.id for case in CASES}) == len(CASES)
