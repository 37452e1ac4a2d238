"""What a tool must be able to do to be compared, ours included."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.peers import running
from benchmarks.peers.install import environment
from benchmarks.peers.outcomes import Tool
from benchmarks.peers.yard import Yard
from benchmarks.processes import Finished


class Contender(ABC):
    """One tool with a target and a state of its own.

    Args:
        yard: the servers and folders.
    """

    tool: Tool
    requirements = ""
    """The name of its requirement file; empty = it runs in this environment."""
    resident = False
    """Whether a scheduler can have it look for changes without starting a process."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.folder = yard.work / self.tool.name

    def install(self) -> None:
        """Makes it runnable.

        Raises:
            CommandError: it can't be.
        """
        if self.requirements:
            environment(self.requirements, self.yard.environments)

    @property
    def environment(self) -> Path:
        """The folder of its virtual environment."""
        return self.yard.environments / self.requirements

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.environment / "bin" / "python")

    def run(self, command: Sequence[str], environ: Mapping[str, str] | None = None) -> Finished:
        """Runs one of its programs in its folder.

        Raises:
            CommandError: it failed or took too long.
        """
        return running.run(command, cwd=self.folder, environ=environ or {}, timeout=self.yard.timeout)

    @abstractmethod
    def forget(self) -> None:
        """Removes target and state; makes ready what its documentation has one make ready once. Not measured."""

    @abstractmethod
    def load(self) -> Finished:
        """Loads everything into nothing."""

    @abstractmethod
    def cycle(self) -> Finished:
        """Does what a schedule would start every few minutes."""

    def check(self) -> Finished:
        """Does a cycle in a process that runs already; asked only where it is `resident`."""
        return self.cycle()

    def before_cycle(self) -> None:  # noqa: B027 - most have nothing to ask
        """Asks what whoever schedules it would know. Not measured."""

    @abstractmethod
    def difference(self) -> str:
        """Says what of the target is not as in the source; empty = nothing."""

    def close(self) -> None:  # noqa: B027 - most leave nothing
        """Removes what it left in the servers."""
