"""Which failures are tried again, and when: 1 s, 2 s, 4 s, exactly."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from airflow.sdk import RetryDecision, RetryPolicy

from querymirror.errors import PipelineError, TransientError

if TYPE_CHECKING:
    from airflow.sdk import Context


class PipelineRetryPolicy(RetryPolicy):
    """Tries again what may pass and fails at once where a retry gives the same answer.

    Evaluated in the worker, so the scheduler's own backoff (which adds a random part) only stands for killed processes.

    Args:
        retries: attempts after the first.
        delay: seconds before the second attempt; doubled for each further one.
    """

    def __init__(self, *, retries: int, delay: float) -> None:
        self.retries, self.delay = retries, delay

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None) -> RetryDecision:  # noqa: ARG002 - the base class names it
        """Returns whether, and after how long, the task is tried again."""
        if isinstance(exception, PipelineError) and not isinstance(exception, TransientError):
            return RetryDecision.fail(reason=f"{type(exception).__name__}: a retry would give the same answer")
        # a cleared task counts its tries on; the backoff starts over
        earlier = max(max_tries - self.retries, 0)
        seconds = self.delay * 2 ** max(try_number - 1 - earlier, 0)
        return RetryDecision.retry(delay=timedelta(seconds=seconds), reason=f"{type(exception).__name__}: tried again after {seconds:g} s")

    def serialize(self) -> dict[str, Any]:
        """Returns the policy as JSON."""
        return {"retries": self.retries, "delay": self.delay}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Self:
        """Reads what `serialize` wrote."""
        return cls(retries=data["retries"], delay=data["delay"])
