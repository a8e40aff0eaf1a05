"""Samples wait here until the hub has them."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from sysmonstm_agent.layout import Sample


class Spooled(NamedTuple):
    sequence: int
    sample: Sample


class SpoolRefused(Exception):
    """A sentence for the person who runs the agent: its spool cannot be used."""


class Spool(Protocol):
    """A bounded queue of numbered samples. Full = the oldest is evicted, counted.

    One thread appends while another reads and forgets.
    tests/test_spool.py holds every implementation to this.
    """

    @property
    def epoch(self) -> bytes:
        """16 random bytes. Sequence numbers count within it, from 1."""

    @property
    def oldest(self) -> int:
        """The oldest sequence number still here; 0 = none is."""

    @property
    def last(self) -> int:
        """The newest sequence number ever given in this epoch; 0 = none."""

    @property
    def produced(self) -> int:
        """How many samples were ever appended in this epoch."""

    @property
    def evicted(self) -> int:
        """How many of them were lost to make room, or to damage."""

    @property
    def lost(self) -> int:
        """How many samples are known to be lost with damaged spools before it."""

    @property
    def size_bytes(self) -> int:
        """What the samples take."""

    @property
    def degraded(self) -> str:
        """One sentence when samples are not safe on disk; empty = well."""

    @property
    def handed_out(self) -> int:
        """The newest number that the hub may rightly have.

        The newest that `read` returned, or that was here when the spool was
        opened. A cursor beyond it was moved by samples that are not these.
        """

    def append(self, sample: Sample) -> int:
        """Keep the sample and return its sequence number.

        Once this returns the sample is as safe as the implementation makes it.
        """

    def read(self, after: int, limit: int) -> list[Spooled]:
        """Return up to `limit` samples numbered above `after`, ascending."""

    def newest(self) -> Spooled | None:
        """Return the newest sample if it is still here, without handing it out."""

    def forget(self, up_to: int) -> None:
        """Drop the samples numbered up to and including this: the hub has them."""

    def renew(self) -> None:
        """Begin a new epoch: the samples that are here are numbered from 1 again.

        For when the hub's cursor lies beyond `handed_out`, which means that the
        numbers were given before, to other samples.
        """

    def close(self) -> None:
        """Put away what can be; nothing is called after this."""
