"""What people must know while the hub is not whole: the one bar of every page.

Worst first, and only the worst: without its database, a hub is late as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from asgiref.sync import async_to_sync

from hub.health import report
from hub.health.dependencies import (
    ARCHIVE,
    CERTIFICATE,
    ESSENTIAL,
    MESSAGES,
    STORING,
    findings,
)
from hub.health.probe import Finding, State
from hub.health.report import Judgement


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong: "Database away" since when, and what that means."""

    what: str
    # Unix milliseconds; None = it is not known since when.
    since_ms: int | None
    meaning: str
    # Without it nobody can tell who asks.
    is_essential: bool = False


def trouble() -> Trouble | None:
    """Return the worst that is wrong now; None = all is well. Never raises."""
    found = async_to_sync(findings)()
    return (
        of_dependencies(found)
        or of_lateness(report.judgement())
        or of_messages(found.get(MESSAGES))
    )


def of_dependencies(found: Mapping[str, Finding]) -> Trouble | None:
    database = found[ESSENTIAL]
    if database.state == State.DOWN:
        return Trouble(
            "Database away",
            database.down_since_ms,
            "Values are live only, agents keep their samples.",
            is_essential=True,
        )
    storing = found.get(STORING)
    if storing and storing.state == State.DOWN:
        return Trouble("Nothing is stored", storing.down_since_ms, storing.sentence)
    down = [
        one
        for name, one in found.items()
        if one.state == State.DOWN and name not in (ARCHIVE, MESSAGES, CERTIFICATE)
    ]
    if not down:
        return _of_archive(found.get(ARCHIVE))
    since = [one.down_since_ms for one in down if one.down_since_ms]
    return Trouble(
        "Live updates pause",
        min(since, default=None),
        "Redis is away. Samples are stored all the same; a page shows newer ones "
        "when it is loaded again.",
    )


def _of_archive(archive: Finding | None) -> Trouble | None:
    if archive is None or archive.state != State.DOWN:
        return None
    return Trouble(
        "Archive away",
        archive.down_since_ms,
        "Hours that have expired stay in the database until it takes them.",
    )


def of_messages(messages: Finding | None) -> Trouble | None:
    if messages is None or messages.state != State.DOWN:
        return None
    return Trouble("Messages undelivered", messages.down_since_ms, messages.sentence)


def of_lateness(judgement: Judgement) -> Trouble | None:
    status = judgement.status
    if status is None or not judgement.sentence:
        return None
    return Trouble(judgement.sentence, status.late_since_ms, "")
