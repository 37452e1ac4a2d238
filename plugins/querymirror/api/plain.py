"""Takes out of a text what a reader of the API must not see: passwords, addresses of servers, paths of this machine."""

from __future__ import annotations

import re
from datetime import datetime

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # any URL with a login in it, and every connection string of a database
    (re.compile(r"\b([a-z][a-z0-9+.-]*)://[^\s/@'\"]*@[^\s'\"]+", re.IGNORECASE), r"\1://***"),
    (re.compile(r"\b(postgres(?:ql)?(?:\+\w+)?|redis|amqp|mysql(?:\+\w+)?)://[^\s'\"]+", re.IGNORECASE), r"\1://***"),
    (re.compile(r"\b(password|passwd|pwd|secret|token|api_?key|authorization)(\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|\S+)", re.IGNORECASE), r"\1\2***"),
    (re.compile(r"\b(host|hostaddr|user|dbname|port)=(\"[^\"]*\"|'[^']*'|\S+)"), r"\1=***"),
    (re.compile(r"\bserver at \"[^\"]*\"(?: \([^)]*\))?, port \d+"), "server"),
    (re.compile(r"\bserver on socket \"[^\"]*\""), "server"),
    (re.compile(r"\(?'(?:\d{1,3}\.){3}\d{1,3}', \d+\)?|\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b"), "***"),
    (re.compile(r"\bhttps?://[^\s'\"]+", re.IGNORECASE), "***"),
    # an absolute path keeps its last part, which is what a person recognises; addresses of this API are none
    (re.compile(r"(?<![\w.:/<>*-])/(?!querymirror/|auth/|api/)(?:[\w.@+ -]*[\w.@+-]/)+([\w.@+-]+)"), r"\1"),
)


def iso(moment: str) -> str:
    """Returns a time as ISO 8601; PostgreSQL writes `+00` where browsers want `+00:00`."""
    try:
        return datetime.fromisoformat(moment).isoformat() if moment else ""
    except ValueError:
        return moment


def plain(text: str) -> str:
    """Returns a message without passwords, connection strings, addresses and absolute paths."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text
