"""People as documents of the search: their parts in films grouped by role."""  # noqa: INP001 - loaded by its path, as no package

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

from querymirror.transforms import Batch, keeps_all_rows


@keeps_all_rows
def to_document(batch: Batch) -> Batch:
    """Returns each person with `roles`: per role the ids of the films, in the query's order."""
    for person in batch:
        by_role = groupby(person.pop("parts"), key=itemgetter("role"))
        person["roles"] = [{"role": role, "film_ids": [part["film_id"] for part in parts]} for role, parts in by_role]
    return batch
