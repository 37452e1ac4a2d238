"""Names of tables and indices: how PostgreSQL and Elasticsearch read them."""

from __future__ import annotations

import re

from querymirror.errors import SpecTextError
from querymirror.spec.sql_tokens import Token, fold, tokenize

MAX_IDENTIFIER = 63  # bytes; PostgreSQL cuts longer ones silently
MAX_INDEX = 255 - 32  # bytes; Elasticsearch takes 255, the indices behind the alias carry a suffix

_PLAIN = re.compile(r"[^\W\dA-Z][^\WA-Z]*\Z")
_FORBIDDEN_IN_INDEX = '\\/*?"<>| ,#:'


def split_table(text: str) -> tuple[str, str]:
    """Reads `schema.table` by PostgreSQL's rules: unquoted parts fold to lower case; a single part lies in `public`.

    Returns:
        (schema, table), as PostgreSQL stores them.

    Raises:
        SpecTextError: it isn't one or two identifiers.
    """
    try:
        tokens = tokenize(text)
    except SpecTextError as err:
        raise SpecTextError(err.at, err.what.rstrip(".")) from err
    parts = [_identifier(token) for token in tokens[::2]]
    if len(tokens) not in {1, 3} or any(t.text != "." for t in tokens[1::2]):
        raise SpecTextError(0, "it is not schema.table")
    return (parts[0], parts[1]) if len(parts) == 2 else ("public", parts[0])  # noqa: PLR2004 - schema and table


def _identifier(token: Token) -> str:
    name = token.name
    if not name:
        raise SpecTextError(token.start, f"{token.text!r} is not an identifier")
    if len(name.encode()) > MAX_IDENTIFIER:
        raise SpecTextError(token.start, f"{name!r} is longer than {MAX_IDENTIFIER} bytes")
    return name


def quote_identifier(name: str) -> str:
    """Returns an identifier as one writes it: in quotes only where PostgreSQL would read it differently without."""
    if _PLAIN.match(name) and fold(name) == name:
        return name
    return '"{}"'.format(name.replace('"', '""'))


def canonical_table(text: str) -> str:
    """Returns the one spelling of a table's name, `schema.table`.

    Raises:
        SpecTextError: see `split_table`.
    """
    return ".".join(quote_identifier(part) for part in split_table(text))


def index_problem(name: str) -> str | None:
    """Returns why Elasticsearch would refuse an index of this name, None if it wouldn't."""
    if not name or name in {".", ".."}:
        return "it must have a name other than '.' and '..'"
    if name != name.lower():
        return "it must be lower case"
    if name[0] in "-_+.":
        return f"it must not begin with {name[0]!r}"
    bad = sorted({c for c in name if c in _FORBIDDEN_IN_INDEX or not c.isprintable()})
    if bad:
        return f"it must not hold {' '.join(repr(c) for c in bad)}"
    return f"it is longer than {MAX_INDEX} bytes" if len(name.encode()) > MAX_INDEX else None
