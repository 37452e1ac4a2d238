"""The states of pipelines at rest, kept in the triggerer.

Reading a Variable there takes two of the triggerer's loops, 0.1 s and a dozen queries each, and only one process can read at a time: a thousand
pipelines would wait for minutes. Which Variables exist is one question for all who ask at that time.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass

from querymirror.state.base import KEY_PREFIX, PipelineState, state_key
from querymirror.state.variables import VariableStateStore, VariableTexts, variables_of_this_process

AGE = 3600.0  # seconds after which a state is read again at the latest: what somebody wrote into the Variable by hand counts then


@dataclass(frozen=True)
class _Kept:
    state: PipelineState
    until: float


class RememberedStates:
    """What the last check of each pipeline read.

    A remembered state may be older than the committed one. It is good enough to find that nothing moved: its counters and the target's identity
    were true of source and target together, and still are. For anything else the state is read anew.

    Args:
        age: seconds after which a state is read again at the latest, at the earliest after half of it.
        texts: how Variables are reached; found out from the process when left out.
    """

    def __init__(self, *, age: float = AGE, texts: VariableTexts | None = None) -> None:
        self._age, self._given = age, texts
        self._kept: dict[str, _Kept] = {}
        self._asking = threading.Lock()
        self._asked, self._names = -1.0, frozenset[str]()

    def recall(self, pipeline: str) -> PipelineState | None:
        """Returns the remembered state; None where there is none, it is old, or its Variable was deleted before this call.

        Raises:
            TransientError: Airflow could not be asked.
        """
        kept = self._kept.get(pipeline)
        if kept is None or time.monotonic() > kept.until or state_key(pipeline) not in self._existing():
            self._kept.pop(pipeline, None)
            return None
        return kept.state

    def read(self, pipeline: str) -> PipelineState | None:
        """Returns the committed state, None where there is none.

        Raises:
            TransientError: it could not be read.
            TerminalError: the Variable holds something else.
        """
        return VariableStateStore(self._texts).read(pipeline)

    def keep(self, pipeline: str, state: PipelineState | None) -> None:
        """Remembers a state that was just read; None forgets."""
        if state is None:
            self._kept.pop(pipeline, None)
        else:
            # those of a start were all read at the same time and are not to be read again at the same time
            self._kept[pipeline] = _Kept(state, time.monotonic() + self._age * random.uniform(0.5, 1))  # noqa: S311

    @property
    def _texts(self) -> VariableTexts:
        return self._given or variables_of_this_process()

    def _existing(self) -> frozenset[str]:
        """Returns the names of all states; the question is younger than this call, and shared by all who wait for it."""
        called = time.monotonic()
        with self._asking:
            if self._asked <= called:
                begun = time.monotonic()
                self._names = self._texts.names(KEY_PREFIX)
                self._asked = begun
            return self._names
