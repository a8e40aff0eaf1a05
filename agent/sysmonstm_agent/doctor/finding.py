"""What the doctor finds: a line each, with what to change where something is wrong."""

from __future__ import annotations

from typing import Literal, NamedTuple

Level = Literal["ok", "warn", "FAIL"]


class Finding(NamedTuple):
    what: str
    level: Level
    text: str


def ok(what: str, text: str) -> Finding:
    return Finding(what, "ok", text)


def warn(what: str, text: str) -> Finding:
    return Finding(what, "warn", text)


def fail(what: str, text: str) -> Finding:
    return Finding(what, "FAIL", text)
