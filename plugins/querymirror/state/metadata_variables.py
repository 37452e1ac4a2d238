"""Airflow Variables for processes beside Airflow (the command line, the api-server): in the metadata database."""

from __future__ import annotations

from airflow.models.variable import Variable
from airflow.utils.session import create_session
from sqlalchemy import select


class MetadataVariables:
    """Reads and writes Variables in Airflow's database; tasks may not, they use `ExecutionApiVariables`."""

    def read(self, key: str) -> str | None:
        """Returns the value, None where there is none."""
        # Variable.get answers "none" also when the database did not: a state taken for absent would fill the target anew
        with create_session() as session:
            row = session.scalar(select(Variable).where(Variable.key == key))
            return None if row is None else str(row.get_val())

    def write(self, key: str, text: str, description: str) -> None:
        """Replaces the value; one row, so the write is atomic."""
        Variable.set(key, text, description=description)

    def delete(self, key: str) -> None:
        """Removes the Variable; nothing where there is none."""
        Variable.delete(key)

    def names(self, prefix: str) -> frozenset[str]:
        """Returns the names of all Variables that begin so."""
        with create_session() as session:
            return frozenset(session.scalars(select(Variable.key).where(Variable.key.startswith(prefix, autoescape=True))))
