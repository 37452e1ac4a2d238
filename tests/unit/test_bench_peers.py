"""What the benchmarks against other tools make of their samples."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.peers.__main__ import NAMES
from benchmarks.peers.documents import DOCUMENTS
from benchmarks.peers.equal import digests, said_of, said_of_documents
from benchmarks.peers.outcomes import OURS, Outcome, PeerResults, Tool
from benchmarks.peers.running import last_words
from benchmarks.peers.shown import BEGIN, END, cell, markdown, reasons, write
from benchmarks.peers.tables import TABLES

ROOT = Path(__file__).resolve().parents[2]
MACHINE = {
    "cpu": "a processor",
    "cores": 2,
    "memory_gib": 24,
    "load_at_start": 0.1,
    "system": "Linux",
    "postgresql": "18.6",
    "elasticsearch": "9.5.3",
    "commit": "abc",
    "at": "2026-01-01T00:00:00+00:00",
}


def one(*seconds: float, difference: str | None = "", error: str = "") -> Outcome:
    """Returns an outcome with some seconds."""
    return Outcome(list(seconds), [0.5] * len(seconds), [50.0] * len(seconds), difference, error)


def results() -> PeerResults:
    """Returns two works by ours, by one that does not see deletes, and by one that can't be had."""
    tools = {name: Tool(name, label, "as it is", lacks) for name, label, lacks in ((OURS, "ours", ()), ("a", "A 1", ("deletes | gone",)), ("b", "B 2", ()))}
    missing = one(error="not installed: no such wheel")
    tables = {
        "load": {OURS: one(2.0, 4.0), "a": one(30.0), "b": missing},
        "delete": {OURS: one(0.5), "a": one(0.4, difference="10 rows that are gone in the source"), "b": missing},
    }
    return PeerResults({"name": "full"}, MACHINE, tools, tables)


@pytest.mark.parametrize(
    ("work", "tool", "said"),
    [
        pytest.param("load", OURS, "3.00 s", id="median of ours"),
        pytest.param("load", "a", "30.0 s (10x)", id="how many times ours"),
        pytest.param("delete", "a", "0.40 s, not done: 10 rows that are gone in the source; by a full load 30.0 s (60x)", id="quick because it does nothing"),
        pytest.param("delete", "b", "not measured", id="can't be had"),
        pytest.param("delete", "c", "", id="takes no part"),
    ],
)
def test_cell(work: str, tool: str, said: str) -> None:
    """A tool is compared where its target was equal afterwards, else by what makes it equal."""
    assert cell(results().tables, work, tool) == said


def test_a_tool_that_fails_is_told_once_with_its_reason() -> None:
    """Its later works fail for the same reason, which is not repeated."""
    assert list(reasons(results())) == ['- B 2 not measured from "load" on: not installed: no such wheel']


def test_results_come_back(tmp_path: Path) -> None:
    """What was written is read again, and makes the same page."""
    results().save(tmp_path / "peers.json")
    again = PeerResults.load(tmp_path / "peers.json")
    assert again == results()
    assert markdown(again) == markdown(results())


def test_only_what_stands_between_the_marks_is_written(tmp_path: Path) -> None:
    """Prose around the tables stays, and cells can't break a table."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write(results(), page)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\nMeasured 2026-01-01")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert "| A 1 | as it is | deletes \\| gone |" in text


@pytest.mark.parametrize(
    ("target", "said"),
    [
        pytest.param((5, 77, 0), "", id="equal"),
        pytest.param((5, 78, 0), "other values", id="a value differs"),
        pytest.param((6, 90, 1), "1 keys twice", id="a key twice"),
        pytest.param((7, 90, 0), "2 rows that are gone in the source", id="too many"),
        pytest.param((4, 70, 0), "1 rows missing", id="too few"),
    ],
)
def test_difference_of_tables(target: tuple[int, int, int], said: str) -> None:
    """Counts and checksums are put into words."""
    assert said_of((5, 77), target[:2], target[2]) == said


def test_difference_of_documents() -> None:
    """Order and repetition of names don't matter, what is gone, missing or other is counted."""
    wanted = digests([("1", "t", 7.5, ("a", "b"), ("x", "y")), ("2", "t", None, (), ()), ("3", "t", 1.0, (), ())])
    found = digests([("1", "t", 7.5, ("b", "a"), ("y", "x", "y")), ("2", "t", 0.0, (), ()), ("4", "t", 1.0, (), ())])
    assert said_of_documents(wanted, wanted) == ""
    assert said_of_documents(wanted, found) == "1 documents that are gone in the source, 1 documents missing, 1 documents with other values"


def test_last_words_are_one_short_line() -> None:
    """Colours, progress bars and blank lines of a failed program don't reach the page."""
    assert last_words("\x1b[31mno\n\n  such   table\r\n") == "[31mno / such table"
    assert last_words("x" * 1000) == "... " + "x" * 300


def test_every_tool_is_installed_from_pinned_versions() -> None:
    """Each requirement file belongs to a tool (pgsync's Redis to pgsync) and pins every line."""
    folder = ROOT / "benchmarks" / "peers" / "requirements"
    wanted = {kind.requirements for kind in (*TABLES, *DOCUMENTS) if kind.requirements} | {"redis"}
    assert {path.stem for path in folder.iterdir()} == wanted
    lines = [line for path in folder.iterdir() for line in path.read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if "==" not in line] == []


def test_readme_names_every_tool() -> None:
    """Each tool is explained beside the benchmarks."""
    text = (ROOT / "benchmarks" / "README.md").read_text()
    assert [name for name in NAMES if f"`{name}`" not in text] == []
