"""What control needs of a server: threads for the database, and who is calling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

# Given what a message calls its machine: the machine_id that the caller's credential
# stands for ("" = nobody may call), and the credential's key (0 = it has none of its
# own).
Calling = Callable[[str], tuple[str, int]]


class Threads(Protocol):
    """Where calls run that block; see `hub.ingest.workers`."""

    async def call(self, function: Callable[..., T], *args: Any) -> T: ...
