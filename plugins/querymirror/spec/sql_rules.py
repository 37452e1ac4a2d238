"""Rules that a query must keep whatever it selects: it only reads, and it is one statement.

Nothing is refused because a parser doesn't know it; PostgreSQL has the last word, in a read-only transaction.
"""

from __future__ import annotations

from collections.abc import Iterator

from querymirror.errors import SpecTextError
from querymirror.spec.sql_tokens import Statement, Token

_STARTS = ("select", "with", "values", "table")
_WRITES = {"insert": "into", "delete": "from", "merge": "into"}
_LOCKS = ("update", "share", "no", "key")
_BOUNDS = ("%(low)s", "%(high)s")


def check_reads(statement: Statement) -> Iterator[SpecTextError]:
    """Yields what makes a statement anything but one reading query."""
    first = next((t for t in statement.tokens if t.text != "("), statement.tokens[0])
    if first.word not in _STARTS:
        yield SpecTextError(first.start, f"the SQL begins with {first.text!r}.", f"Write a query that begins with {' or '.join(s.upper() for s in _STARTS)}.")
        return
    before = Token("mark", "", 0, 0)
    for token, after in zip(statement.tokens, [*statement.tokens[1:], Token("mark", "", 0, 0)], strict=True):
        yield from _check_token(before, token, after)
        before = token


def _check_token(before: Token, token: Token, after: Token) -> Iterator[SpecTextError]:
    word = token.word
    if word in _WRITES and after.word == _WRITES[word] and before.text in {"(", ")"}:
        yield SpecTextError(token.start, f"the SQL writes: {word.upper()} {after.text.upper()}.", "Leave a query that only reads; the source is never written.")
    elif word == "update" and before.text in {"(", ")"} and (after.kind == "quoted" or after.word):
        yield SpecTextError(token.start, "the SQL writes: UPDATE.", "Leave a query that only reads; the source is never written.")
    elif word == "into" and before.word not in {"as", *_WRITES} and before.text != ".":
        yield SpecTextError(token.start, "SELECT INTO makes a table.", "Remove INTO; the target is named under `target`.")
    elif word == "for" and after.word in _LOCKS:
        yield SpecTextError(token.start, f"FOR {after.text.upper()} locks rows of the source.", "Remove the locking clause.")


def check_no_placeholders(statement: Statement) -> Iterator[SpecTextError]:
    """Yields the placeholders of a query that takes none."""
    for token in statement.tokens:
        if token.kind == "place":
            yield SpecTextError(
                token.start,
                f"the query holds the placeholder {token.text}, and nothing fills it.",
                "Remove its condition (querymirror adds its own over the query's result); for a modulo put a space after %.",
            )


def check_bounds(statement: Statement) -> Iterator[SpecTextError]:
    """Yields what is wrong with the placeholders of a change's `keys_sql`."""
    places = [t for t in statement.tokens if t.kind == "place"]
    for token in places:
        if token.text not in _BOUNDS:
            yield SpecTextError(token.start, f"the placeholder {token.text} is unknown.", f"Use {' and '.join(_BOUNDS)}.")
    missing = [b for b in _BOUNDS if b not in {t.text for t in places}]
    if missing:
        fix = "Bound the change's cursor: WHERE x.updated_at >= %(low)s AND x.updated_at <= %(high)s."
        yield SpecTextError(0, f"the placeholder(s) {' and '.join(missing)} are missing.", fix)


def main_select(statement: Statement) -> int | None:
    """Returns the position, among the tokens, of the first SELECT of a query outside of its WITH; None where it has none."""
    tokens = statement.tokens
    depth = 0
    while depth < len(tokens) and tokens[depth].text == "(":
        depth += 1
    for position, token in enumerate(tokens):
        if token.depth == depth and token.word in {"select", "values", "table"} and position >= depth:
            return position if token.word == "select" else None
    return None


AFTER_LIST = frozenset(["from", "where", "group", "having", "window", "union", "intersect", "except", "order", "limit", "offset", "fetch", "for"])


def select_items(statement: Statement, position: int) -> list[list[Token]]:
    """Returns the tokens of each item of a select list; `position` is its SELECT's."""
    tokens = statement.tokens
    depth = tokens[position].depth
    items: list[list[Token]] = [[]]
    for before, token in zip(tokens[position:], tokens[position + 1 :], strict=False):
        if token.depth < depth or (token.depth == depth and token.text == ")" and not _opens(items[-1])):
            break
        if token.depth == depth and token.word in AFTER_LIST and not _inside_item(before, token):
            break
        if token.depth == depth and token.text == ",":
            items.append([])
        else:
            items[-1].append(token)
    return items


def _inside_item(before: Token, token: Token) -> bool:
    """Whether a word that ends a select list is part of an item: a label, `IS DISTINCT FROM`, `WITHIN GROUP`."""
    return before.word == "as" or before.text == "." or (before.word, token.word) in {("distinct", "from"), ("within", "group")}


def _opens(item: list[Token]) -> bool:
    return sum(t.text == "(" for t in item) > sum(t.text == ")" for t in item)


def output_columns(statement: Statement) -> list[str | None] | None:
    """Returns the names of a query's columns as far as they are plain to see.

    Returns:
        One name per column, None for those that PostgreSQL names itself; None where the list can't be told (a star, VALUES).
    """
    position = main_select(statement)
    if position is None:
        return None
    items = select_items(statement, position)
    while items[0] and items[0][0].word in {"all", "distinct"}:
        items[0] = _without_distinct(items[0])
    if any(not item or item[-1].text == "*" for item in items):
        return None
    return [_item_name(item) for item in items]


def _without_distinct(item: list[Token]) -> list[Token]:
    if len(item) > 1 and item[1].word == "on":
        close = next((i for i, t in enumerate(item) if t.text == ")" and t.depth == item[0].depth), len(item) - 1)
        return item[close + 1 :]
    return item[1:]


def _item_name(item: list[Token]) -> str | None:
    if len(item) > 1 and item[-2].word == "as" and item[-2].depth == item[0].depth:
        return item[-1].name
    plain = all(t.name is not None if i % 2 == 0 else t.text == "." for i, t in enumerate(item))
    return item[-1].name if plain and len(item) % 2 == 1 else None
