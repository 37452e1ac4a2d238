"""The base of every spec value: frozen, unknown keys refused."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class SpecModel(BaseModel):
    """A frozen value read from YAML; a key that is not a field is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SqlText(SpecModel):
    """A SQL statement and the file it was read from.

    Attributes:
        text: the statement, without a trailing semicolon.
        file: path below `include/` (`sql/film_dim.sql`), or None where it was written in the spec.
    """

    text: str
    file: str | None = None

    def __str__(self) -> str:
        return self.text


class CodeText(SpecModel):
    """The source of a Python file that a spec names.

    Attributes:
        text: all of it.
        file: path below `include/` (`transforms/films.py`).
        function: the name of the function that is called.
    """

    text: str
    file: str
    function: str
