"""PostgreSQL's own lexical rules: a statement cut into tokens with their positions in the author's text.

Only lexing, so every statement PostgreSQL accepts passes, whatever its grammar; sqlglot's tokens don't know nested
comments in quotes, `U&''` and the like, and its import alone takes 100 ms.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from querymirror.errors import SpecTextError

_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<comment>--[^\n\r]*)
    | (?P<block>/\*)
    | (?P<string>[eE]'(?:[^'\\]|\\.|'')*+'|(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*+')
    | (?P<dollar>\$(?:[^\W\d]\w*)?\$)
    | (?P<quoted>(?:[uU]&)?"(?:[^"]|"")*+")
    | (?P<place>%s(?!\w)|%\(\w+\)s(?!\w)|\$\d+)
    | (?P<number>(?:\d[\d_]*(?:\.[\d_]*)?|\.\d+)(?:[eE][-+]?\d+)?|0[xXoObB][\da-fA-F_]+)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<mark>::|:=|[()\[\],;.:])
    | (?P<operator>(?:(?!--|/\*|%s(?!\w)|%\(\w+\)s(?!\w))[-+*/<>=~!@\#%^&|?`])+)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


class Token(NamedTuple):
    """A piece of a statement.

    Attributes:
        kind: `word`, `quoted` (an identifier in quotes), `string`, `number`, `place` (a placeholder), `mark` or `operator`.
        text: as the author wrote it.
        start: offset of the first character.
        depth: how many brackets are open around it; a bracket counts as outside itself.
    """

    kind: str
    text: str
    start: int
    depth: int

    @property
    def end(self) -> int:
        """Offset after the last character."""
        return self.start + len(self.text)

    @property
    def word(self) -> str:
        """The word in lower case, empty for anything else."""
        return self.text.lower() if self.kind == "word" else ""

    @property
    def name(self) -> str | None:
        """The identifier as PostgreSQL stores it, None for anything else; `U&""` escapes are not read."""
        if self.kind == "word":
            return fold(self.text)
        if self.kind == "quoted" and self.text[0] == '"':
            return self.text[1:-1].replace('""', '"')
        return None


def fold(text: str) -> str:
    """Returns an unquoted identifier in lower case: PostgreSQL folds ASCII letters only."""
    return "".join(c.lower() if c.isascii() else c for c in text)


class Statement:
    """One SQL statement: the author's text up to its `;`, and its tokens without comments.

    Raises:
        SpecTextError: it is empty, holds several statements, or a quote, comment or bracket isn't closed.
    """

    def __init__(self, text: str) -> None:
        tokens = tokenize(text)
        while tokens and tokens[-1].text == ";":
            text = text[: tokens.pop().start]
        if not tokens:
            raise SpecTextError(0, "the SQL is empty.", "Write one statement.")
        for token in tokens:
            if token.text == ";":
                raise SpecTextError(token.start, "there is more than one statement: a `;` stands in the middle.", "Leave one statement.")
        self.text = text.rstrip()
        self.tokens = tokens

    def line(self, offset: int) -> int:
        """Returns the 1-based line of an offset."""
        return self.text.count("\n", 0, offset) + 1

    def slice(self, first: Token, last: Token) -> str:
        """Returns the author's text from one token to another, both included."""
        return self.text[first.start : last.end]


def tokenize(text: str) -> list[Token]:
    """Cuts SQL into tokens, without white space and comments.

    Raises:
        SpecTextError: a quote, comment or bracket isn't closed, or a character means nothing in SQL.
    """
    tokens: list[Token] = []
    opened: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        kind = match.lastgroup if match else None
        if match is None or kind is None:
            raise _stray(text, at)
        start, at = at, match.end()
        if kind == "block":
            at = _end_of_comment(text, start)
        elif kind == "dollar":
            at = _end_of_dollar(text, start, match.group())
            tokens.append(Token("string", text[start:at], start, len(opened)))
        elif kind == "mark":
            tokens.append(_bracket(Token(kind, match.group(), start, len(opened)), opened))
        elif kind not in {"space", "comment"}:
            tokens.append(Token(kind, match.group(), start, len(opened)))
    if opened:
        raise SpecTextError(opened[-1].start, f"`{opened[-1].text}` is never closed.", "Close the bracket.")
    return tokens


def _bracket(token: Token, opened: list[Token]) -> Token:
    if token.text in "([":
        opened.append(token)
    elif token.text in ")]":
        if not opened or opened[-1].text != {")": "(", "]": "["}[token.text]:
            raise SpecTextError(token.start, f"`{token.text}` closes nothing.", "Remove it or open the bracket before it.")
        opened.pop()
        return token._replace(depth=len(opened))
    return token


def _end_of_comment(text: str, start: int) -> int:
    depth, at = 0, start
    while True:
        edge = _COMMENT_EDGE.search(text, at)
        if edge is None:
            raise SpecTextError(start, "a `/*` comment is never closed.", "Close it with `*/`.")
        depth, at = depth + (1 if edge.group() == "/*" else -1), edge.end()
        if depth == 0:
            return at


def _end_of_dollar(text: str, start: int, tag: str) -> int:
    end = text.find(tag, start + len(tag))
    if end < 0:
        raise SpecTextError(start, f"a string that begins with {tag} is never closed.", f"Close it with {tag}.")
    return end + len(tag)


def _stray(text: str, at: int) -> SpecTextError:
    if text[at] in "'\"" or text[at + 1 : at + 2] == "'":
        return SpecTextError(at, "a quote is never closed.", "Close it, and double a quote inside quotes.")
    return SpecTextError(at, f"the character {text[at]!r} has no meaning in SQL.", "Remove it or put it in quotes.")
