"""Python functions between query and target: the target holds what the function returns, its errors are the row's, its changes redo the target."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from querymirror.errors import RecordError, TerminalError
from tests.cases.shouting import SHOUT, code, held, rejects_of, transformed, wanted
from tests.fixtures.fix_pipeline import Mirror, TargetKind

pytestmark = pytest.mark.integration


def test_the_target_holds_what_the_function_returns(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """Changed, added and dropped: the first load and each later cycle leave the target equal to the function's result, and then all is quiet."""
    films = transformed(mirror, target_kind)
    assert films.cycle().upserted == 2250
    assert held(films) == wanted(films)
    assert films.cycle().outcome == "quiet"
    films.change("UPDATE film SET title = 'a new title', updated_at = clock_timestamp() WHERE id = 3; INSERT INTO film VALUES (9001, 'one 7'), (9002, 'one 8')")
    summary = films.cycle()
    assert (summary.upserted, summary.deleted) == (2, 0)
    assert held(films) == wanted(films)
    assert films.cycle().outcome == "quiet"


def test_a_row_that_comes_to_be_dropped_leaves_the_target(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """A row that the function drops after a change is deleted, one that it no longer drops comes, and a deleted one goes."""
    films = transformed(mirror, target_kind)
    films.cycle()
    films.change(
        """UPDATE film SET title = 'ends in 7', updated_at = clock_timestamp() WHERE id IN (1, 2, 3);
           UPDATE film SET title = 'is back', updated_at = clock_timestamp() WHERE id = 17; DELETE FROM film WHERE id IN (50, 57)"""
    )
    summary = films.cycle()
    assert (summary.upserted, summary.deleted) == (1, 4)
    assert held(films) == wanted(films)


def test_without_a_cursor(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """Without a cursor what the function makes is compared, and only what differs is written."""
    films = transformed(mirror, target_kind, cursor_column=None)
    films.cycle()
    films.change("UPDATE film SET title = 'ends in 7' WHERE id = 5; UPDATE film SET title = 'other' WHERE id = 6; DELETE FROM film WHERE id = 8")
    summary = films.cycle()
    assert (summary.upserted, summary.deleted) == (1, 2)
    assert held(films) == wanted(films)
    verified = films.cycle(mode="verify")
    assert (verified.upserted, verified.deleted) == (0, 0)


def test_verify_repairs_what_somebody_else_changed(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """A comparison sets the target against what the function returns, and repairs a row that was changed, removed or added behind its back."""
    films = transformed(mirror, target_kind)
    films.cycle()
    if films.indices is None:
        films.tamper(
            """UPDATE analytics.mirrored SET title = 'x' WHERE id = 1; DELETE FROM analytics.mirrored WHERE id = 2;
               INSERT INTO analytics.mirrored VALUES (7, 'dropped by the function')"""
        )
    else:
        films.indices.client.update(index=films.index, id="1", doc={"title": "x"})
        films.indices.client.delete(index=films.index, id="2")
        films.indices.client.index(index=films.index, id="7", document={"id": 7, "title": "dropped by the function"})
    summary = films.cycle()
    assert (summary.upserted, summary.deleted) == (2, 1)
    assert held(films) == wanted(films)


def test_an_error_is_the_row_s_dead_letter(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """Rows that the function fails on are kept aside with the traceback; all others go through, and a replay after a correction brings them."""
    films = transformed(mirror, target_kind, on_reject="dead_letter")
    films.cycle()
    films.change("UPDATE film SET title = NULL, updated_at = clock_timestamp() WHERE id IN (1000, 2000); UPDATE film SET title = 'fine', updated_at = now()"
                 " WHERE id = 1001")  # fmt: skip
    before = held(films)
    summary = films.cycle(run_id="the_run")
    assert (summary.upserted, summary.rejected) == (1, 2)
    letters = sorted(rejects_of(films), key=lambda letter: letter.key)
    assert [letter.key for letter in letters] == (['["1000"]', '["2000"]'] if films.indices is None else ["1000", "2000"])
    assert 'File "include/transforms/films.py", line 4, in shout\n    row["title"] = row["title"].upper()' in letters[0].reason
    assert letters[0].reason.endswith("AttributeError: 'NoneType' object has no attribute 'upper'")
    assert "querymirror" not in letters[0].reason
    assert letters[0].run_id == "the_run"
    assert '"title":null' in letters[0].row
    assert held(films)[1000] == before[1000], "a row that fails keeps what it was"
    films.change("UPDATE film SET title = 'again' WHERE id = 1000; UPDATE film SET title = 'again' WHERE id = 2000")
    with films.open() as cycle:
        assert cycle.replay(films.request()).upserted == 2
    assert rejects_of(films) == []
    assert held(films) == wanted(films)


def test_an_error_fails_the_run(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """Without dead letters the run fails, naming the row and the traceback; the state does not move and nothing is deleted."""
    films = transformed(mirror, target_kind)
    films.cycle()
    state, before = films.state, held(films)
    films.change("UPDATE film SET title = NULL, updated_at = clock_timestamp() WHERE id = 5")
    with pytest.raises(
        RecordError, match=r"the transform transforms.films:shout refused 1 row\(s\): .*5.*: Traceback(?s:.*)has no attribute 'upper'"
    ) as caught:
        films.cycle()
    assert caught.value.rejected == 1
    assert films.state == state
    assert held(films) == before


def test_a_changed_function_redoes_the_target(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """Another text of the same function is another function: every row is made again, those now dropped leave, the others are written if they differ."""
    films = transformed(mirror, target_kind)
    films.cycle()
    assert films.respec(**code(SHOUT)).cycle().outcome == "quiet"
    other = films.respec(**code(SHOUT.replace('"7"', '"8"')))
    summary = other.cycle()
    assert "the spec changed" in summary.reasons
    assert (summary.read, summary.deleted) == (2250, 250)
    assert 7 in held(films)
    assert 8 not in held(films)
    assert other.cycle().outcome == "quiet"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param("batch[0]['id'] += 1; return batch", "the key id ", id="key changed"),
        pytest.param("del batch[0]['id']; return batch", "without id, which is part of the key", id="key removed"),
        pytest.param("return batch + batch", "came twice", id="rows twice"),
        pytest.param("return None", "returned NoneType, not a list of rows", id="nothing returned"),
        pytest.param("return [str(row) for row in batch]", "returned a str among its rows", id="no dicts"),
        pytest.param("batch[0]['title'] = {1, 2}; return batch", "is not JSON: set has no form in JSON", id="no JSON"),
        pytest.param("raise SystemError('no more')", "SystemError: no more", id="raises"),
    ],
)
def test_what_a_function_must_not_do(mirror: Callable[..., Mirror], body: str, said: str) -> None:
    """A function that changes keys, returns what is no row or no JSON, or raises, is told so with the row."""
    films = transformed(mirror, "postgres", f"def shout(batch):\n    {body}\n")
    with pytest.raises(RecordError, match="refused") as caught:
        films.cycle()
    assert said in caught.value.samples[0][1]


def test_only_rows_that_fail_alone_are_refused(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """A batch that fails half-way, its rows already changed in place, is made again row by row from what was read."""
    text = """
def shout(batch):
    for row in batch:
        row["title"] += "!"
        row["length"] = 100 // (row["id"] - 700)
        row["words"] = []
    return batch
"""
    films = transformed(mirror, target_kind, text, on_reject="dead_letter")
    summary = films.cycle()
    assert (summary.upserted, summary.rejected) == (2499, 1)
    there = held(films)
    assert {row[0] for row in there.values()} == {f"film {n}!" for n in range(1, 2501) if n != 700}
    assert films.cycle().outcome == "quiet"
    again = films.cycle(mode="verify")
    assert (again.upserted, again.deleted, again.rejected) == (0, 0, 1)


def test_a_value_that_does_not_fit_the_table(mirror: Callable[..., Mirror]) -> None:
    """A value that PostgreSQL can't make the column's type of is the row's error; a field without a column is told with the table's columns."""
    text = "def shout(batch):\n    for row in batch:\n        row['length'] = 'many' if row['id'] == 77 else row['id']\n    return batch\n"
    films = transformed(mirror, "postgres", text, on_reject="dead_letter")
    summary = films.cycle()
    assert (summary.upserted, summary.rejected) == (2499, 1)
    (letter,) = rejects_of(films)
    assert letter.key == '["77"]'
    assert 'invalid input syntax for type smallint: "many"' in letter.reason
    assert films.cycle(mode="verify").upserted == 0
    unknown = films.respec(on_reject="fail", **code("def shout(batch):\n    return [row | {'size': 1} for row in batch]\n"))
    with pytest.raises(RecordError, match=r"size, for which the table has no column \(it has: id, title, price, flags, length, words\)"):
        unknown.cycle()


def test_without_create_sql_the_columns_are_the_query_s(mirror: Callable[..., Mirror]) -> None:
    """A function that only changes values needs no create_sql; numbers, times and bytes that it leaves alone arrive digit by digit."""
    source = """CREATE TABLE film (id int PRIMARY KEY, title text, n numeric, f float8, b bytea, at timestamptz, tags text[], doc jsonb, big bigint);
        INSERT INTO film VALUES
          (1, 'a', 1.10, 0.1, '\\x00ff', '2024-01-01 12:00:00.123456+00', '{x,"y z"}', '{"k": [1, 2.50]}', 9223372036854775807),
          (2, 'b', 123456789012345678901234567890.123456789, 'Infinity', NULL, '-infinity', NULL, 'null', -9223372036854775808),
          (3, 'c', 'NaN', '-0', '', NULL, '{}', '"text"', 0)"""
    films = mirror(source, "SELECT * FROM film", **code("def shout(batch):\n    return batch\n"))
    films.cycle()
    ours, theirs = films.rows_source(), films.rows_target()
    ours["2",]["doc"] = None  # JSON's null is no value of its own in a row of Python
    assert theirs == ours
    assert films.cycle().outcome == "quiet"
    assert films.cycle(mode="verify").upserted == 0


def test_a_function_that_keeps_all_rows(mirror: Callable[..., Mirror], target_kind: TargetKind, tmp_path: Path) -> None:
    """A function marked so is not called to find orphans; a row that it drops all the same is an error."""
    seen = tmp_path / "seen"
    keeps = f"""
from querymirror.transforms import keeps_all_rows

@keeps_all_rows
def shout(batch):
    with open({str(seen)!r}, "a") as file:
        file.write(f"{{len(batch)}}\\n")
    return {{}}
"""
    films = transformed(mirror, target_kind, keeps.replace("{}", "[{**row, 'length': 1} for row in batch]"), lag=0)
    films.cycle()
    seen.unlink()
    films.change("DELETE FROM film WHERE id IN (1, 7); UPDATE film SET title = 'x', updated_at = clock_timestamp() WHERE id = 3")
    summary = films.cycle()
    assert (summary.upserted, summary.deleted) == (1, 2)
    assert sum(map(int, seen.read_text(encoding="utf-8").split())) == summary.read <= 2
    dropping = films.respec(**code(keeps.replace("{}", "batch[1:]")))
    with pytest.raises(RecordError, match="marked keeps_all_rows and dropped 1"):
        dropping.cycle()


def test_composite_keys(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """Keys of several columns are matched, dropped and deleted like others."""
    source = """CREATE TABLE part (a int, b text, d date, v text, PRIMARY KEY (a, b, d));
                INSERT INTO part SELECT n % 7, 'k"' || n, '2024-01-01'::date + n, 'v' || n FROM generate_series(1, 300) n"""
    text = "def shout(batch):\n    return [row for row in batch if row['a'] != 3]\n"
    parts = mirror(source, "SELECT a, b, d, v FROM part", target=target_kind, primary_key=["a", "b", "d"], **code(text))
    parts.cycle()
    assert len(parts.rows_target()) == parts.databases.in_source("SELECT count(*) FROM part WHERE a <> 3")[0][0]
    parts.change("UPDATE part SET v = 'x' WHERE a = 4; DELETE FROM part WHERE a = 5; UPDATE part SET a = 3 WHERE a = 6")
    parts.cycle()
    wanted = {k: row for k, row in parts.rows_source().items() if str(row["a"]) != "3"}
    assert parts.rows_target() == wanted


def test_samples_show_before_and_after(mirror: Callable[..., Mirror], target_kind: TargetKind) -> None:
    """A sample is rows of the query beside what the function makes of them: another document, nothing, or the reason why not."""
    text = SHOUT.replace("for row in batch:", "for row in batch:\n        row['share'] = 1 / (row['id'] - 3)\n        del row['share']")
    films = transformed(mirror, target_kind, text)
    with films.open() as cycle:
        rows = {row.key: row for row in cycle.sample(10)}
    assert len(rows) == 10
    assert '"title":"film 1"' in rows["1"].before
    assert '"title":"FILM 1"' in str(rows["1"].after)
    assert (rows["7"].after, rows["7"].reason) == (None, "")
    assert rows["3"].after is None
    assert rows["3"].reason.endswith("ZeroDivisionError: division by zero")
    with films.respec(transform=None, transform_code=None).open() as cycle, pytest.raises(TerminalError, match="has no transform"):
        cycle.sample(1)


def test_a_file_that_does_not_run(mirror: Callable[..., Mirror]) -> None:
    """A module that raises while it is imported fails the run with its traceback, without a retry."""
    films = transformed(mirror, "postgres", "import no_such_module_anywhere\n")
    with pytest.raises(TerminalError, match=r"include/transforms/films.py can't be imported: Traceback(?s:.*)No module named 'no_such_module_anywhere'"):
        films.cycle()
