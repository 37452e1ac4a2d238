"""The page that Airflow shows for a pipeline's DAG: what it is, its spec, its SQL, what it promises."""

from __future__ import annotations

from pathlib import Path

from querymirror.errors import SpecError
from querymirror.spec.pipeline import PipelineSpec
from querymirror.spec.target import PostgresTarget

PROMISE = """\
### What this DAG promises
When a run ends and the source is quiet, the target's rows equal the query's rows: same keys, same values. Rows that
commit late are carried by a later run. {deletes} The state moves last, so a run that fails or is killed is simply done again.

### By hand
*Trigger* with `mode` **incremental** (what changed), **full_refresh** (the whole query) or **verify** (compare by content and
repair). With `window_low` and `window_high` a run reads the rows whose `{cursor}` lies in that window, low included, high
not; it never moves the state. A backfill does the same for each data interval. Deleting the Variable `querymirror:{id}`
starts over.
"""

DELETES = {
    "hard": "Rows that leave the query are deleted from the target.",
    "soft": "Rows that leave the query are marked as deleted in the target.",
    "off": "Rows that leave the query stay in the target (`delete_missing: off`).",
}


def describe_pipeline(spec: PipelineSpec, include: Path) -> str:
    """Returns the Markdown of a pipeline's DAG page.

    Args:
        spec: of the pipeline.
        include: the include folder, for the spec's own text with its comments.
    """
    source, target = spec.source, _target(spec)
    facts = [f"**{spec.description or spec.id}**", f"`{source.conn_id}` (query) → `{spec.target.conn_id}` {target}"]
    facts.append(f"Key: {', '.join(f'`{name}`' for name in source.primary_key)}. Cursor: {_code(source.cursor_column)}.")
    if spec.watch is not None:
        facts.append(f"Watched: every {spec.watch:g} s the triggerer looks at the source's counters, beside the schedule; when they moved, a cycle starts.")
    parts = ["  \n".join(facts), _spec_text(spec.id, include), "### Query", _fenced(source.query.text, "sql")]
    for change in source.changes:
        parts += [f"### Keys to read again: {change.name}", _fenced(change.keys_sql.text, "sql")]
    if spec.keys_sql:
        parts += ["### Keys", _fenced(spec.keys_sql.text, "sql")]
    if isinstance(spec.target, PostgresTarget) and spec.target.create_sql:
        parts += ["### Target", _fenced(spec.target.create_sql.text, "sql")]
    parts.append(PROMISE.format(deletes=DELETES[spec.delete_missing], cursor=source.cursor_column or "cursor", id=spec.id))
    return "\n\n".join(parts)


def describe_broken(pipeline: str, error: SpecError, include: Path) -> str:
    """Returns the Markdown of the DAG that stands for a spec that can't be used."""
    problems = "\n".join(f"- {_inline(str(problem))}" for problem in error.problems)
    return "\n\n".join(
        [
            f"## {pipeline} can't run: its spec is wrong",
            problems,
            "Correct the file; this DAG turns into the pipeline by itself.",
            _spec_text(pipeline, include),
        ]
    )


def spec_file(pipeline: str, include: Path) -> Path | None:
    """Returns the file that a pipeline is written in, None where there is none."""
    names = (include / "jobs" / f"{pipeline}{ending}" for ending in (".yaml", ".yml"))
    return next((path for path in names if path.is_file()), None)


def _spec_text(pipeline: str, include: Path) -> str:
    path = spec_file(pipeline, include)
    if path is None:
        return ""
    return f"### {include.name}/jobs/{path.name}\n\n{_fenced(path.read_text(encoding='utf-8', errors='replace'), 'yaml')}"


def _target(spec: PipelineSpec) -> str:
    return f"table `{spec.target.table}`" if isinstance(spec.target, PostgresTarget) else f"index `{spec.target.index}`"


def _code(name: str | None) -> str:
    return f"`{name}`" if name else "none, each changed run compares the whole result"


def _fenced(text: str, language: str) -> str:
    fence = "````" if "```" in text else "```"
    return f"{fence}{language}\n{text.strip()}\n{fence}"


def _inline(text: str) -> str:
    # indented continuation lines stay inside the list item
    return text.replace("\n", "\n  ")
