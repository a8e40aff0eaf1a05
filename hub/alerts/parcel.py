"""What is handed to the process that sends, and what it brings back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum


class Task(StrEnum):
    SEND = "send"
    # Look at the address only: known, and allowed?
    CHECK = "check"


class Result(StrEnum):
    SENT = "sent"
    FAILED = "failed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message for one contact, with all that is needed to send it."""

    kind: str
    address: str
    task: Task = Task.SEND
    # The same for every attempt: receivers can tell a repeat.
    key: str = ""
    secret: str = ""
    # What may be reached beside public addresses.
    networks: tuple[str, ...] = ()
    private: bool = False
    # The operator's own mail server, and whom mail comes from.
    smtp_url: str = ""
    sender: str = ""
    title: str = ""
    text: str = ""
    html: str = ""
    # For chats that render HTML of a few tags, or Markdown.
    brief_html: str = ""
    markdown: str = ""
    # For programs.
    payload: str = ""

    def pack(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def unpack(cls, text: str) -> Parcel:
        fields = json.loads(text)
        fields["networks"] = tuple(fields["networks"])
        fields["task"] = Task(fields["task"])
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it, in a sentence for people."""

    result: Result
    said: str
    status: int | None = None

    @property
    def ok(self) -> bool:
        return self.result is Result.SENT

    def pack(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def unpack(cls, text: str) -> Outcome:
        fields = json.loads(text)
        return cls(Result(fields["result"]), str(fields["said"]), fields["status"])
