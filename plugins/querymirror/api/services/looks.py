"""Looks at source and target that write nothing: what a run would do, columns and drift, rejects."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from querymirror.api.datamodels import ColumnRow, Counts, PlanAnswer, RejectList, RejectRow, Replayed, SchemaAnswer
from querymirror.api.plain import iso, plain
from querymirror.api.services.servers import opened, within
from querymirror.errors import PipelineError, SchemaError
from querymirror.facts import Column, WireColumn
from querymirror.records import Foreseen, RunRequest
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.settings import Settings
from querymirror.state.base import PipelineState

_TIMEOUT = 20  # seconds for a look
_PLAN_TIMEOUT = 60  # seconds for one that compares, or tries rows again
_SHOWN = 200  # rejects of an answer


def plan(spec: PipelineSpec, settings: Settings, state: PipelineState | None) -> PlanAnswer:
    """Says what a run would do now.

    Raises:
        PipelineError: a server can't be asked, or did not answer in time.
    """

    def look() -> PlanAnswer:
        with opened(spec, settings, statement_timeout=_PLAN_TIMEOUT) as cycle:
            columns = cycle.source.describe()
            found = cycle.plan(state, RunRequest(run_id="plan"))
            there = cycle.target.identity() is not None
            counts = Counts(source=cycle.source.count(), target=cycle.target.count() if there else 0, at=datetime.now(UTC).isoformat())
        return PlanAnswer(
            plan=found.model_copy(update={"reasons": tuple(map(plain, found.reasons)), "refused": plain(found.refused)}),
            counts=counts,
            target_exists=there,
            columns=[(column.name, column.type) for column in columns],
            query=spec.source.query.text,
        )

    return within(_PLAN_TIMEOUT, look, where=spec.id)


def schema(spec: PipelineSpec, settings: Settings) -> SchemaAnswer:
    """Returns the query's columns beside the target's.

    Raises:
        PipelineError: a server can't be asked, or did not answer in time.
    """

    def look() -> SchemaAnswer:
        with opened(spec, settings, statement_timeout=_TIMEOUT) as cycle:
            columns = cycle.source.describe()
            drift = _drift(lambda: cycle.target.foresee(columns))
            stored = {} if drift else {wire.name: wire for wire in cycle.target.shape(columns).columns}
        return SchemaAnswer(columns=[_column(spec, column, stored.get(column.name)) for column in columns], drift=drift)

    return within(_TIMEOUT, look, where=spec.id)


def _drift(foresee: Callable[[], Foreseen]) -> list[str]:
    """Returns what the next cycle would have to do to the target first, or why it can't."""
    try:
        return [f"The next cycle will do this first: {plain(change)}." for change in foresee().changes]
    except SchemaError as err:
        return [plain(f"{err.what} {err.fix}")]


def _column(spec: PipelineSpec, column: Column, stored: WireColumn | None) -> ColumnRow:
    return ColumnRow(
        name=column.name,
        type=column.source_type,
        key=column.name in spec.source.primary_key,
        target=stored.target if stored else None,
        stored_as=stored.compared_as if stored else None,
    )


def rejects(spec: PipelineSpec, settings: Settings) -> RejectList:
    """Returns the newest rejects.

    Raises:
        PipelineError: the target can't be asked, or did not answer in time.
    """

    def look() -> RejectList:
        with opened(spec, settings, statement_timeout=_TIMEOUT) as cycle:
            found = cycle.target.rejects() if cycle.target.identity() is not None else []
        shown = [RejectRow(key=r.key, row=r.row, reason=plain(r.reason), run_id=r.run_id, at=iso(r.at)) for r in found[:_SHOWN]]
        return RejectList(rejects=shown, total=len(found))

    return within(_TIMEOUT, look, where=spec.id)


def drop_rejects(spec: PipelineSpec, settings: Settings, keys: list[str] | None) -> int:
    """Forgets rejects, all of them without `keys`; returns how many.

    Raises:
        PipelineError: the target can't be asked, or did not answer in time.
    """

    def drop() -> int:
        with opened(spec, settings, statement_timeout=_TIMEOUT) as cycle:
            return cycle.target.drop_rejects(keys)

    return within(_TIMEOUT, drop, where=spec.id)


def replay_rejects(spec: PipelineSpec, settings: Settings, keys: list[str] | None) -> Replayed:
    """Reads refused rows again from the source and tries them; those that pass, or left the query, are forgotten.

    Raises:
        PipelineError: a server can't be asked, did not answer in time, or refuses the rows while the spec keeps none aside.
    """
    request = RunRequest(run_id=f"replay__{datetime.now(UTC).isoformat()}")

    def replay() -> Replayed:
        with opened(spec, settings, statement_timeout=_PLAN_TIMEOUT) as cycle:
            done = cycle.replay(request, keys)
        return Replayed(read=done.read, written=done.upserted, refused=done.rejected)

    return within(_PLAN_TIMEOUT, replay, where=spec.id)


def reachable(spec: PipelineSpec, settings: Settings, side: str, *, seconds: float) -> str:
    """Asks one side of a pipeline for a sign of life; returns what is wrong, empty = nothing."""

    def ask() -> None:
        with opened(spec, settings, statement_timeout=max(1, int(seconds))) as cycle:
            if side == "source":
                cycle.source.clock()
            else:
                cycle.target.identity()

    try:
        within(seconds, ask, where=spec.id)
    except PipelineError as err:
        return plain(err.what)
    return ""
