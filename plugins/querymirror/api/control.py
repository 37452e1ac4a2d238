"""What all routes share: the folder of specs, the list made from it, and who asks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.configuration import conf
from fastapi import Depends
from sqlalchemy.orm import Session

from querymirror.api import security
from querymirror.api.services.overview import Overview
from querymirror.api.services.specs import SpecFolder
from querymirror.spec.loader import default_include


@dataclass(frozen=True)
class Control:
    """The one folder of specs of this api-server."""

    folder: SpecFolder
    overview: Overview


@cache
def control() -> Control:
    """Returns it; `[querymirror] specs_read_only` refuses every write of a spec."""
    folder = SpecFolder(default_include(), read_only=conf.getboolean("querymirror", "specs_read_only", fallback=False))
    return Control(folder, Overview(folder))


ControlDep = Annotated[Control, Depends(control)]


@dataclass(frozen=True)
class Call:
    """One request of somebody who is logged in.

    Attributes:
        session: committed by Airflow once the answer is made.
    """

    control: Control
    user: BaseUser
    session: Session

    def did(self, event: str, pipeline: str, extra: str = "") -> None:
        """Writes into Airflow's audit log what was done, and makes the next look at the list a new one."""
        security.record(self.session, self.user, event, pipeline, extra)
        self.control.overview.forget()


def _call(shared: ControlDep, user: GetUserDep, session: SessionDep) -> Call:
    return Call(shared, user, session)


CallDep = Annotated[Call, Depends(_call)]
