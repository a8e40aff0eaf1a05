"""Layouts that the database has not stored yet: samples go on while it is away.

Such a layout has a number below zero, made of its digest: every process gives the
same list the same number. What it says stands in hot state, for whoever watches.
No row ever holds such a number: whoever writes asks `stored` for the real one.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from hub.log import get_logger
from hub.storage import layouts
from hub.storage.hot import HotDown, get_hot
from hub.storage.layouts import LayoutInfo, SeriesInfo

log = get_logger(__name__)

# Of those that are still to be stored, in series: some 20 MB.
MAX_SERIES = 100_000
# Numbers that were given in the life of this process; each is remembered, because
# a sample that waits for the database may hold it.
MAX_GIVEN = 65_536


class NoPlace(Exception):
    """This layout must wait until the database is back (temporary)."""


_lock = threading.Lock()
_waiting: dict[int, Sequence[SeriesInfo]] = {}
# With the digest: a number may be two layouts', their contents never are.
_stored: dict[int, tuple[bytes, int]] = {}


def place(series: Sequence[SeriesInfo]) -> LayoutInfo:
    """Return the layout under a number for now. Blocking; raises NoPlace."""
    description = layouts.described(series)
    number = number_of(description)
    with _lock:
        digest, row = _stored.get(number, (b"", 0))
        if digest == layouts.digest_of(description):
            return layouts.keep(LayoutInfo(row, tuple(series)))
        if digest or _waiting.get(number, tuple(series)) != tuple(series):
            raise NoPlace("another layout has this number")
        if number not in _waiting:
            if _series() + len(series) > MAX_SERIES or len(_stored) >= MAX_GIVEN:
                raise NoPlace("too many layouts wait for the database")
            _waiting[number] = tuple(series)
    if not _tell(number, description):
        with _lock:
            _waiting.pop(number, None)
        raise NoPlace("another process has given this number")
    return layouts.keep(LayoutInfo(number, tuple(series)))


def number_of(description: bytes) -> int:
    """Return what a layout is called until it is stored: 31 bits, below zero."""
    head = int.from_bytes(layouts.digest_of(description)[:4], "big")
    return -1 - (head >> 1)


def waiting() -> list[int]:
    """Return the numbers of those that are still to be stored."""
    with _lock:
        return list(_waiting)


def were_given() -> bool:
    """Tell whether a sample of this process may hold such a number."""
    return bool(_waiting or _stored)


def stored(number: int) -> int:
    """Return the row of a layout, storing it first. Blocking; raises DatabaseDown."""
    with _lock:
        _, row = _stored.get(number, (b"", 0))
        series = _waiting.get(number)
    if row:
        return row
    if series is None:
        raise layouts.UnknownLayout(f"no layout {number} was given here")
    row = layouts.learn(series).id
    with _lock:
        _stored[number] = layouts.digest_of(layouts.described(series)), row
        _waiting.pop(number, None)
    return row


def repeat() -> None:
    """Tell hot state again: it forgets, and may have been away as well. Blocking."""
    with _lock:
        told = list(_waiting.items())
    for number, series in told:
        _tell(number, layouts.described(series))


def forget_all() -> None:
    """Begin anew, as a process does."""
    with _lock:
        _waiting.clear()
        _stored.clear()


def _series() -> int:
    return sum(map(len, _waiting.values()))


def _tell(number: int, description: bytes) -> bool:
    """Let others know; False: the number means something else to them."""
    try:
        return get_hot().put_layout(number, description) == description
    except HotDown as down:
        # Nobody watches without it; see `repeat`.
        log.warning("hot.down", error=str(down))
        return True
