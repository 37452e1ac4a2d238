"""Writes docs/types.md from the list of type cases: `python -m tests.cases.type_table`; `tests/unit/test_type_table.py` compares."""

from __future__ import annotations

from pathlib import Path

from tests.cases.type_cases import ARRAYS, JSON, NUMBERS, OTHERS, OWN, TEXTS, TIMES, TypeCase

PAGE = Path(__file__).resolve().parents[2] / "docs" / "types.md"
LONGEST = 48  # characters of a value that are shown

HEAD = """# Types

Every value reaches the target as it is, or its row is refused with the reason (a failed run, or a dead letter with `on_reject: dead_letter`).
It is never changed on the way. This page is made of the cases of `tests/integration/test_types.py` (`python -m tests.cases.type_table`): each
row below was loaded, changed with a cursor that moved, changed with none (found by `verify`), and deleted, with the values named and NULL, for
both targets, and read back: from a table by its type's output function, from an index digit by digit from `_source`.

"Same" in the second column means that the table's column has the source's own type, length and precision included. The third column is
the field that a generated mapping makes; a mapping of your own (`index_config`) decides itself what it refuses.

What PostgreSQL calls equal but shows differently is two values here: numeric 1.0 and 1.00, 0 and -0, `1 day` and `24 hours`, citext in another
case, jsonb numbers, boxes of one area. A change from one to the other is carried, also in a primary key.
"""

TAIL = """
## Rules behind the table

- **Enums, composites, own ranges** are text in a table (a target must not need the source's types); domains are their base type, arrays of any of
  these `text[]`. In a document a composite is an object, an array an array; both are stored unparsed (`enabled: false`).
- **Extensions** (citext, hstore): the target database needs the extension; without it the first run stops, names the column and says what to do.
- **Documents** hold what PostgreSQL's `row_to_json` gives, `bytea` as base64. Elasticsearch indexes less than it stores: a `double` field searches the
  nearest double of a long numeric, a `date` field milliseconds, `keyword` fields the first 8,191 characters. Of texts, only `_source` holds all.
- **Ids of documents** are the key's text, of several columns a JSON array of texts; an empty id, or one above 512 bytes, is refused row by row.
- **Generated and identity columns** of the source are plain values. A generated column in the target is refused before a row is sent.
- **Names** may be quoted, dotted, reserved, upper-case, 63 bytes long, hold blanks, quotes and percent signs (`tests/integration/test_names.py`).
  An index refuses the fields `_id`, `_source`, `_index` and two columns of one path (`a` and `a.b`): said by the first run.
- **Primary keys** can be of any type with a unique index (`tests/integration/test_key_types.py`), of several columns too.
- **A table of your own** (`create_sql`, or one that is there) may have other types. PostgreSQL's assignment rules then apply: a value too long or out of
  range is refused, a numeric is rounded to the column's scale, because the table's author chose that scale.

## When the source's columns change

| change | table | index with a generated mapping | index with `index_config` |
| --- | --- | --- | --- |
| new column (the query says `SELECT *`) | added and filled; `on_schema_change: fail`: error | new index filled beside the old one; `fail`: error | strict mapping: error that names it |
| wider type, number to text | column widened; `fail`: error | new index; `fail`: error | by the mapping |
| narrower type | nothing to do | new index; `fail`: error | by the mapping |
| other type | error with both types | new index; `fail`: error | by the mapping |
| dropped column | keeps its values, empty in new rows | new index without it | field missing in new documents |
| renamed column | a new one, and the old one as dropped | new index | strict mapping: error |
| key or cursor gone | error with the columns there are | the same | the same |
| target column NOT NULL without default, not in the query | error | - | - |

An error leaves target and state as they were; the next run tries again. Each row: `tests/integration/test_schema_changes.py`.
"""

GROUPS = {
    "Numbers": NUMBERS,
    "Times": TIMES,
    "Texts and bytes": TEXTS,
    "JSON": JSON,
    "Arrays": ARRAYS,
    "Types of your own, and of extensions": OWN,
    "Others": OTHERS,
}


def render() -> str:
    """Returns the page."""
    return HEAD + "".join(_group(title, cases) for title, cases in GROUPS.items()) + TAIL


def _group(title: str, cases: tuple[TypeCase, ...]) -> str:
    head = f"\n## {title}\n\n| type | table column | index field | values tried | refused by the index | notes |\n| --- | --- | --- | --- | --- | --- |\n"
    return head + "".join(_row(case) for case in cases)


def _row(case: TypeCase) -> str:
    stored = "same" if case.stored in {None, case.type} else f"`{case.stored}`"
    values = ", ".join(f"`{_shown(value)}`" for value in case.values) or "-"
    refused = ", ".join(f"`{_shown(value)}`" for value, _ in case.refused)
    return f"| `{case.type}` | {stored} | `{case.field}` | {values} | {refused} | {case.note} |\n"


def _shown(value: str) -> str:
    text = value.replace("|", "\\|").replace("\n", " ")
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
