"""Dead letters: rows a target refused, tried again as the source has them now."""

from __future__ import annotations

import json
from collections.abc import Sequence

from querymirror.records import Batch, BatchResult
from querymirror.sync.run import Run
from querymirror.sync.upsert import upsert


def replay(run: Run, keys: Sequence[str] | None = None) -> BatchResult:
    """Reads refused rows again and upserts them; those that go through, or are gone from the query, are forgotten.

    Args:
        run: the run; its id marks the rows that are refused again.
        keys: of the letters to replay; None = all of them.
    """
    letters = [letter for letter in run.target.rejects() if keys is None or letter.key in keys]
    if not letters:
        return BatchResult()
    batch = Batch(number=0, kind="keys", keys=tuple(_key(letter.key, len(run.spec.source.primary_key)) for letter in letters))
    result = upsert(run.source, run.target, batch, run.request)
    run.target.finish(run.source.describe())
    again = {letter.key for letter in run.target.rejects() if letter.run_id == run.request.run_id}
    passed = [letter.key for letter in letters if letter.key not in again]
    if passed:
        run.target.drop_rejects(passed)
    return result


def _key(text: str, columns: int) -> tuple[str | None, ...]:
    """Reads a letter's key: a JSON array of texts; a document of one key column has its id as it is."""
    if columns == 1 and not text.startswith("["):
        return (text,)
    return tuple(json.loads(text))
