"""A notifier that a test can look over the shoulder of; not a DAG."""  # noqa: INP001 - Airflow loads the file by its path

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.sdk import BaseNotifier


class FileNotifier(BaseNotifier):
    """Adds a line to a file.

    Args:
        file: where.
        text: what, a template.
    """

    template_fields = ("text",)

    def __init__(self, *, file: str, text: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.file, self.text = file, text

    def notify(self, context: Any) -> None:  # noqa: ARG002 - Airflow passes it
        """Writes."""
        with Path(self.file).open("a", encoding="utf-8") as file:
            file.write(f"{self.text}\n")
