"""What a function of include/transforms gets and may return, without a server; and the one that is shipped."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from querymirror.errors import TerminalError
from querymirror.sources.transforming import RawRow, Transform
from querymirror.spec.loader import load_spec
from querymirror.transforms import Batch, Function, compile_function, keeps_all_rows, load_function, never_drops

pytestmark = pytest.mark.unit

INCLUDE = Path(__file__).resolve().parents[2] / "include"
SPEC = """source: {conn_id: movies_db, query: SELECT id FROM film, primary_key: [id]}
target: {type: postgres, conn_id: analytics_db, table: analytics.films}
transform: transforms.films:shout
"""


def row(text: str, key: str = "1") -> RawRow:
    """Returns a row as it is read."""
    return RawRow(b"", key, text.encode())


def made(function: Function, text: str) -> str:
    """Returns what becomes of one row."""
    ((_, document),) = Transform(function, ["id"]).apply([row(text)]).kept
    return document.decode()


@pytest.mark.parametrize(
    "number",
    ["0", "-0", "1.10", "1e400", "0.1", "-0.0", "123456789012345678901234567890.5", "9223372036854775807", "18446744073709551616", "9" * 5000, "1.0e-5"],
    ids=lambda text: text[:30],
)
def test_a_number_that_is_not_touched_keeps_its_digits(number: str) -> None:
    """Every JSON number that PostgreSQL writes comes back as it was, at any depth."""
    text = f'{{"id":1,"n":{number},"deep":[{{"n":{number}}}]}}'
    assert made(lambda batch: batch, text) == text


def test_numbers_can_be_calculated_with() -> None:
    """Whole numbers come as int, others as float, and what is calculated is written as the number it is."""

    def calculate(batch: Batch) -> Batch:
        return [{**r, "sum": r["n"] + r["price"], "twice": r["n"] * 2, "exact": Decimal("1.10"), "whole": isinstance(r["n"], int)} for r in batch]

    assert orjson.loads(made(calculate, '{"id":1,"n":3,"price":0.5}')) == {
        "id": 1, "n": 3, "price": 0.5, "sum": 3.5, "twice": 6, "exact": 1.1, "whole": True,
    }  # fmt: skip


def test_not_a_number_becomes_null() -> None:
    """JSON has no NaN."""
    assert made(lambda batch: [{**r, "n": math.nan} for r in batch], '{"id":1}') == '{"id":1,"n":null}'


def test_text_stays_on_one_line() -> None:
    """Line breaks and any alphabet come back in one line of JSON, as a bulk body needs."""
    document = made(lambda batch: batch, '{"id":1,"t":"a\\nb\\u0001 é 映画 😀"}')
    assert "\n" not in document
    assert orjson.loads(document) == {"id": 1, "t": "a\nb\x01 é 映画 😀"}


def test_rows_that_fail_alone_are_found() -> None:
    """One bad row among many is told with its own reason; the others are made, also when the function changes rows in place before it fails."""

    def count(batch: Batch) -> Batch:
        for r in batch:
            r["n"] += 1
            r["share"] = 1 / (r["n"] - 5)
        return batch

    outcome = Transform(count, ["id"]).apply([row(f'{{"id":{n},"n":{n}}}', str(n)) for n in range(10)])
    assert [orjson.loads(document)["n"] for _, document in outcome.kept] == [1, 2, 3, 4, 6, 7, 8, 9, 10]
    ((refused, reason),) = outcome.refused
    assert refused.id == "4"
    assert reason.splitlines()[0] == "Traceback (most recent call last):"
    assert reason.splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_dropped_rows_stand_nowhere() -> None:
    """A row that is not returned is neither kept nor refused, and the order of the others is the function's."""
    outcome = Transform(lambda batch: [r for r in reversed(batch) if r["id"] != 2], ["id"]).apply([row(f'{{"id":{n}}}', str(n)) for n in (1, 2, 3)])
    assert ([r.id for r, _ in outcome.kept], outcome.refused) == (["3", "1"], [])


def test_a_marked_function_is_known() -> None:
    """`keeps_all_rows` marks the function and leaves it as it is."""

    def same(batch: Batch) -> Batch:
        return batch

    assert not never_drops(same)
    assert keeps_all_rows(same) is same
    assert never_drops(same)


def test_modules_stay_apart() -> None:
    """Two texts of one file are two modules, and neither can be imported by anybody else."""
    first = compile_function("STEP = 1\ndef add(batch):\n    return [{'step': STEP}]\n", "include/transforms/one.py", "add")
    second = compile_function("STEP = 2\ndef add(batch):\n    return [{'step': STEP}]\n", "include/transforms/one.py", "add")
    assert (first([]), second([])) == ([{"step": 1}], [{"step": 2}])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("x = 1 / 0", "include/transforms/one.py can't be imported: Traceback (most recent call last):", id="raises"),
        pytest.param("def other(batch): ...", "include/transforms/one.py defines no function 'add'. Define it", id="no such function"),
        pytest.param("add = 1", "include/transforms/one.py defines no function 'add'. Define it", id="no function"),
    ],
)
def test_a_module_that_can_t_be_used_is_told(text: str, said: str) -> None:
    """What is wrong with a module is said with its file."""
    with pytest.raises(TerminalError) as caught:
        compile_function(text, "include/transforms/one.py", "add")
    assert str(caught.value).startswith(said)


def test_the_fingerprint_holds_the_file(tmp_path: Path) -> None:
    """A spec whose function's file changed has another fingerprint, so its target is redone; it names the file below include/."""
    (tmp_path / "transforms").mkdir()
    (tmp_path / "settings.yaml").write_text("allowed_targets: [{conn_id: analytics_db, tables: ['*']}]", encoding="utf-8")
    spec, code = tmp_path / "films.yaml", tmp_path / "transforms" / "films.py"
    spec.write_text(SPEC, encoding="utf-8")
    code.write_text("def shout(batch):\n    return batch\n", encoding="utf-8")
    before = load_spec(spec, tmp_path)
    code.write_text("def shout(batch):\n    return batch[:]\n", encoding="utf-8")
    after = load_spec(spec, tmp_path)
    assert before.fingerprint() != after.fingerprint()
    assert after.transform_code is not None
    assert (after.transform_code.file, after.transform_code.function) == ("transforms/films.py", "shout")
    spec.write_text(SPEC.replace("transforms.films", "films"), encoding="utf-8")
    assert load_spec(spec, tmp_path).transform_code == after.transform_code


def test_people_have_their_parts_grouped() -> None:
    """The shipped function groups a person's parts by role, in their order, and keeps people without one."""
    to_document = load_function(INCLUDE / "transforms" / "persons.py", "to_document")
    parts = [("actor", "a"), ("actor", "c"), ("writer", "b")]
    people: Batch = [{"id": "1", "full_name": "X", "parts": [{"role": r, "film_id": f} for r, f in parts]}, {"id": "2", "full_name": "Y", "parts": []}]
    assert never_drops(to_document)
    assert to_document(people) == [
        {"id": "1", "full_name": "X", "roles": [{"role": "actor", "film_ids": ["a", "c"]}, {"role": "writer", "film_ids": ["b"]}]},
        {"id": "2", "full_name": "Y", "roles": []},
    ]
