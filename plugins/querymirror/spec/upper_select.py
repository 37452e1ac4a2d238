"""Turns SELECT_SOURCE_SQL into a query without its placeholder, by edits at token positions of the author's own text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from querymirror.errors import SpecTextError
from querymirror.spec.names import quote_identifier
from querymirror.spec.problems import listed
from querymirror.spec.sql_rules import AFTER_LIST, main_select, select_items
from querymirror.spec.sql_tokens import Statement, Token

if TYPE_CHECKING:
    from sqlglot import exp

CURSOR = "__cursor"
_PLACE = re.compile(r"%%|%s|%\(\w+\)s")
_TOKEN = re.compile(r"<Token [^>]*?text: (.*?), line: [^>]*>")  # how sqlglot shows a token
_COMPARISONS = frozenset(["=", "<", ">", "<=", ">=", "<>", "!="])
_TESTS = frozenset(["in", "like", "ilike", "is", "similar", "not", "exists", "between", "overlaps", "isnull", "notnull"])
_CONDITION_FIX = "End the statement with one condition on the cursor: WHERE updated_at > %s, or AND updated_at > %s."


@dataclass(frozen=True)
class Condition:
    """The condition that ends SELECT_SOURCE_SQL.

    Attributes:
        start: offset of the cursor's expression.
        end: offset after the placeholder and its cast.
        cursor: the expression, as the author wrote it.
    """

    start: int
    end: int
    cursor: str


def parse_select(statement: Statement) -> exp.Query:
    """Parses a SELECT.

    Raises:
        SpecTextError: sqlglot can't, or it is something else.
    """
    import sqlglot  # noqa: PLC0415 - 100 ms that specs of the first form don't pay
    from sqlglot import errors, exp  # noqa: PLC0415 - as above

    text = statement.text
    for token in statement.tokens:
        if token.kind in {"place", "operator"}:  # something as long, that sqlglot knows
            known = "$1".ljust(len(token.text)) if token.kind == "place" else token.text.replace("%%", "% ")
            text = text[: token.start] + known + text[token.end :]
    try:
        tree = sqlglot.parse_one(text, dialect="postgres")
    except errors.ParseError as err:
        first = err.errors[0] if err.errors else {}
        line = int(first.get("line") or 1)
        offset = len("".join(text.splitlines(keepends=True)[: line - 1]))
        said = _TOKEN.sub(r"'\1'", str(first.get("description") or err)).rstrip(".")
        raise SpecTextError(offset, f"the SQL can't be parsed: {said}.", "Correct the syntax.") from err
    except (errors.SqlglotError, RecursionError) as err:
        raise SpecTextError(0, f"the SQL can't be parsed: {type(err).__name__}.", "Correct the syntax.") from err
    if not isinstance(tree, exp.Query):
        raise SpecTextError(0, "the SQL is not a SELECT.", "Write one SELECT.")
    return tree


def result_name(item: exp.Expr) -> str | None:
    """Returns the name PostgreSQL gives to a column of a result, None where that isn't plain."""
    from sqlglot import exp  # noqa: PLC0415 - see parse_select

    while isinstance(item, exp.Cast | exp.Paren):
        item = item.this
    named = item.args.get("alias") if isinstance(item, exp.Alias) else item.this if isinstance(item, exp.Column) else None
    if not isinstance(named, exp.Identifier):
        return None
    text = str(named.this)
    return text if named.args.get("quoted") else "".join(c.lower() if c.isascii() else c for c in text)


def has_star(items: Sequence[exp.Expr]) -> bool:
    """Whether a select list holds `*` or `t.*`."""
    from sqlglot import exp  # noqa: PLC0415 - see parse_select

    return any(isinstance(i, exp.Star) or (isinstance(i, exp.Column) and isinstance(i.this, exp.Star)) for i in items)


def final_condition(statement: Statement) -> Condition:
    """Finds the `<expr> > %s` that ends a statement.

    Raises:
        SpecTextError: it doesn't end so, or the condition could not be taken out without changing what the others mean.
    """
    tokens = statement.tokens
    place = _the_placeholder(statement)
    rest = tokens[place + 1 :]
    if rest and (rest[0].text != "::" or any(t.word in AFTER_LIST | {"and", "or"} or t.depth < tokens[place].depth for t in rest)):
        raise SpecTextError(rest[0].start, f"{rest[0].text!r} follows the condition with the placeholder.", _CONDITION_FIX)
    operator = tokens[place - 1]
    if operator.text not in {">", ">="}:
        raise SpecTextError(operator.start, f"{operator.text!r} stands before the placeholder, not > or >=.", _CONDITION_FIX)
    clause = max((i for i, t in enumerate(tokens[:place]) if t.word in {"where", "having"} and t.depth == 0), default=None)
    if clause is None or operator.depth:
        raise SpecTextError(operator.start, "the placeholder is not in the WHERE or HAVING of the statement itself.", _CONDITION_FIX)
    cursor = _last_conjunct(tokens[clause + 1 : place - 1])
    if not cursor:
        raise SpecTextError(operator.start, "nothing stands before the operator.", _CONDITION_FIX)
    return Condition(cursor[0].start, tokens[-1].end, statement.slice(cursor[0], cursor[-1]))


def _the_placeholder(statement: Statement) -> int:
    """Returns the position of the one `%s`; like psycopg it counts those in strings and comments too."""
    found = [m for m in _PLACE.finditer(statement.text) if m.group() != "%%"]
    places = [i for i, t in enumerate(statement.tokens) if t.kind == "place"]
    if len(found) != 1 or found[0].group() != "%s":
        names = listed(m.group() for m in found) or "none"
        raise SpecTextError(found[0].start() if found else 0, f"the statement must hold exactly one placeholder %s (it holds {names}).", _CONDITION_FIX)
    if len(places) != 1:
        raise SpecTextError(found[0].start(), "the %s stands in a string or a comment.", _CONDITION_FIX)
    return places[0]


def _last_conjunct(tokens: Sequence[Token]) -> list[Token]:
    """Returns the tokens behind the last AND of a clause."""
    last: list[Token] = []
    cases = 0
    between = False
    for token in tokens:
        cases += (token.word == "case") - (token.word == "end")
        if token.depth or cases or token.word == "end":
            last.append(token)
        elif token.word == "or":
            fix = "Put the alternatives in brackets: WHERE (a OR b) AND updated_at > %s."
            raise SpecTextError(token.start, "OR stands beside the condition with the placeholder.", fix)
        elif token.word == "and" and not between:
            last = []
        else:
            between = token.word == "between" or (between and token.word != "and")
            last.append(token)
    for token in last:
        if token.depth == 0 and (token.text in _COMPARISONS or token.word in _TESTS) and "case" not in {t.word for t in last}:
            raise SpecTextError(token.start, f"{token.text!r} stands in the condition with the placeholder.", _CONDITION_FIX)
    return last


def rewrite(statement: Statement, condition: Condition, columns: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Returns the query without its condition, with the cursor as an extra last column, and the names of its other columns.

    Args:
        statement: SELECT_SOURCE_SQL.
        condition: its end.
        columns: of the INSERT, by position; a column of the result gets that name where nothing refers to another one.

    Raises:
        SpecTextError: the select list can't take a further column.
    """
    tree = parse_select(statement)
    position = main_select(statement)
    _refuse_unextendable(tree, position)
    items = select_items(statement, position or 0)
    parsed = tree.expressions
    if len(items) != len(parsed) or not all(items):
        raise SpecTextError(0, "the select list can't be told apart from the rest.", "Give each column a name with AS.")
    if len(items) != len(columns):
        fix = "Select as many columns as UPSERT_TARGET_SQL lists, in the same order."
        raise SpecTextError(0, f"it selects {len(items)} column(s), UPSERT_TARGET_SQL lists {len(columns)}.", fix)
    list_end = items[-1][-1].end
    # First, so that it comes behind a name that is added at the same place.
    edits = [(list_end, list_end, f", {condition.cursor} AS {CURSOR}"), (condition.start, condition.end, "TRUE")]
    grouped = _grouped_names(statement)
    names = []
    for item, tree_item, wanted in zip(items, parsed, columns, strict=True):
        edit, name = _renamed(item, tree_item, wanted, grouped)
        edits += [edit] if edit else []
        names.append(name)
    return _edited(statement.text, edits).replace("%%", "%"), tuple(names)


def _refuse_unextendable(tree: exp.Query, position: int | None) -> None:
    from sqlglot import exp  # noqa: PLC0415 - see parse_select

    fix = "Put it into a sub-select: SELECT a, b FROM (...) AS q WHERE updated_at > %s."
    if not isinstance(tree, exp.Select) or position is None:
        raise SpecTextError(0, "it is a set operation (UNION, INTERSECT, EXCEPT), whose last part alone would have the condition.", fix)
    if tree.args.get("distinct"):
        raise SpecTextError(0, "SELECT DISTINCT would tell rows apart by the cursor too, which is read as a further column.", fix)
    if has_star(tree.expressions):
        raise SpecTextError(0, "the select list holds *, so its columns can't be matched with those of UPSERT_TARGET_SQL.", "Write the columns out.")
    if tree.args.get("group"):
        return
    for call in tree.find_all(exp.AggFunc):
        over = call.parent
        while isinstance(over, exp.Filter | exp.WithinGroup):
            over = over.parent
        if call.parent_select is tree and not isinstance(over, exp.Window):
            what = f"{call.sql_name()} sums up the rows behind the condition, and nothing groups them."
            raise SpecTextError(0, what, "Group the rows and end in HAVING max(updated_at) > %s.")


def _grouped_names(statement: Statement) -> set[str | None]:
    """Returns the names in GROUP BY, which may be those of the select list."""
    words = [t.word if t.depth == 0 else "" for t in statement.tokens]
    start = next((i for i, pair in enumerate(pairwise(words)) if pair == ("group", "by")), None)
    if start is None:
        return set()
    end = words.index("having", start) if "having" in words[start:] else len(words)
    return {t.name for t in statement.tokens[start:end]}


def _renamed(item: Sequence[Token], parsed: exp.Expr, wanted: str, grouped: set[str | None]) -> tuple[tuple[int, int, str] | None, str]:
    """Returns the edit that gives an item of the select list the wanted name, if any, and its name after that."""
    from sqlglot import exp  # noqa: PLC0415 - see parse_select

    name = result_name(parsed) if isinstance(parsed, exp.Alias | exp.Column) else None
    if name == wanted:
        return None, wanted
    new = quote_identifier(wanted).replace("%", "%%")
    last = item[-1]
    if not isinstance(parsed, exp.Alias):
        return (last.end, last.end, f" AS {new}"), wanted
    if name in grouped or last.name != name:
        return None, str(name)
    new = new if len(item) > 1 and item[-2].word == "as" else f"AS {new}"
    return (last.start, last.end, new), wanted


def _edited(text: str, edits: Sequence[tuple[int, int, str]]) -> str:
    """Returns the text with the edits made from its end to its start; of two at one offset the first one ends up behind."""
    for start, end, new in sorted(edits, key=lambda e: e[0], reverse=True):
        text = text[:start] + new + text[end:]
    return text
