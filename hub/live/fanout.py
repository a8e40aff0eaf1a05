"""What each socket has not been told yet, and how much it may be told now.

A socket keeps no states, only which machines have changed since its last frame:
however slow its browser is, it costs a few numbers, and what it gets is newest.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Hashable, Iterable, Iterator, Set
from typing import Generic, TypeVar

from hub.live.frames import ALERTS, CREDIT, FULL, HEARTBEAT_S, Close

K = TypeVar("K", bound=Hashable)

MAX_SOCKETS = 2000
# A page has one.
MAX_SOCKETS_OF_A_USER = 20
MAX_SOCKETS_OF_AN_ADDRESS = 50

# A browser that cannot draw a frame in this time shows something very old.
MAX_ACK_S = 60.0
# News of alerts for one frame. Beyond it the oldest go: a page that hears of one
# reads them all again.
MAX_NEWS = 50

# Repeated or invented acknowledgements; a browser has none.
MAX_STRAY = 100


class TooMany(Exception):
    """There are too many, of this user, from this address or at all (temporary)."""


class Watcher:
    """One socket. `wake` is set whenever it may have something to do."""

    def __init__(
        self,
        user: int,
        view: str,
        wanted: frozenset[str] | None,
        *,
        address: str = "",
    ) -> None:
        self.user = user
        # Where it comes from; "" is not counted.
        self.address = address
        self.view = view
        # machine_ids that were asked for; None = all that may be seen.
        self.wanted = wanted
        self.seen: Set[int] = frozenset()
        # Whether some machines, now or once, are not for this socket.
        self.is_limited = True
        self.changed: set[int] = set()
        self.gone: set[str] = set()
        # By alert, encoded; and the machine that each is about.
        self.news: dict[int, bytes] = {}
        self._about: dict[int, int | None] = {}
        # By machine, encoded; the newest, as a later one makes up for it.
        self.instants: dict[int, bytes] = {}
        # Layouts this browser knows.
        self.layouts: set[int] = set()
        self.urgent = False
        self.closing: Close | None = None
        self.wake = asyncio.Event()
        self._sent = 0
        self._last_sent_s = 0.0
        # Number and time of the frames that have not been acknowledged.
        self._outstanding: deque[tuple[int, float]] = deque()
        self._stray = 0

    def hear(self, changed: Set[int]) -> None:
        """Note that machines have changed; those it may not see are ignored."""
        if self.view == ALERTS:
            return
        if ours := self.seen & changed:
            self.changed |= ours
            self.wake.set()

    def hear_news(self, alert: int, machine: int | None, news: bytes) -> None:
        """Note what happened to an alert; of no machine: its machine is no more."""
        if self.is_limited if machine is None else machine not in self.seen:
            return
        if not self.news:
            # They were sent.
            self._about.clear()
        self.news.pop(alert, None)
        self.news[alert] = news
        self._about[alert] = machine
        if len(self.news) > MAX_NEWS:
            del self.news[next(iter(self.news))]
        self.wake.set()

    @property
    def looks_closely(self) -> bool:
        """Whether this is a machine's own page."""
        return self.view == FULL and self.wanted is not None and len(self.wanted) == 1

    def hear_instant(self, pk: int, layout: int, instant: bytes) -> None:
        """Note a sample between two ticks, if it can be read here."""
        if layout in self.layouts:
            self.instants[pk] = instant
            self.wake.set()

    def show_all(self) -> None:
        if self.view != ALERTS:
            self.changed = set(self.seen)

    def see(self, pks: Set[int], gone: Iterable[str]) -> None:
        """Replace what this socket may see; say goodbye to some."""
        if lost := self.seen - pks:
            self._unhear(lost)
        if self.view == ALERTS:
            self.seen = pks
            return
        if pks is not self.seen:
            self.changed |= pks - self.seen
            self.changed &= pks
            self.seen = pks
        self.gone.update(gone)
        if self.changed or self.gone:
            self.wake.set()

    def _unhear(self, lost: Set[int]) -> None:
        """Drop what has not been sent yet of machines that are not seen any more."""
        for alert in [one for one in self.news if self._about.get(one) in lost]:
            del self.news[alert]
        for pk in self.instants.keys() & lost:
            del self.instants[pk]

    def close(self, why: Close) -> None:
        self.closing = self.closing or why
        self.wake.set()

    def hurry(self) -> None:
        """Ask for a frame even though no machine has changed."""
        self.urgent = True
        self.wake.set()

    @property
    def may_send(self) -> bool:
        if self.closing is not None or len(self._outstanding) >= CREDIT:
            return False
        told = self.changed or self.gone or self.news or self.instants
        return bool(told) or self.urgent

    def sends(self, now_s: float) -> int:
        """Take one credit; return the frame's number."""
        self._sent += 1
        self._last_sent_s = now_s
        self._outstanding.append((self._sent, now_s))
        self.urgent = False
        if self.changed:
            self.wake.set()
        return self._sent

    def acknowledged(self, number: int) -> None:
        """Give credit back for this frame and those before it."""
        if not self._outstanding or not (
            self._outstanding[0][0] <= number <= self._outstanding[-1][0]
        ):
            self._stray += 1
            if self._stray > MAX_STRAY:
                self.close(Close.BAD_MESSAGE)
            return
        while self._outstanding and self._outstanding[0][0] <= number:
            self._outstanding.popleft()
        self.wake.set()

    def tend(self, now_s: float) -> None:
        """Ask for a heartbeat when it is time; give up on a browser that is gone."""
        if self._outstanding and now_s - self._outstanding[0][1] > MAX_ACK_S:
            self.close(Close.NO_ACK)
        elif self._sent and now_s - self._last_sent_s >= HEARTBEAT_S:
            self.hurry()


class Share(Generic[K]):
    """How many each has, and may have."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: Counter[K] = Counter()

    def is_full(self, whose: K) -> bool:
        return self._counts[whose] >= self._most

    def take(self, whose: K) -> None:
        self._counts[whose] += 1

    def give_back(self, whose: K) -> None:
        self._counts[whose] -= 1
        # Counter keeps zeros; people come and go for months.
        if not self._counts[whose]:
            del self._counts[whose]


class Fanout:
    """The sockets of this process."""

    def __init__(
        self,
        *,
        max_sockets: int = MAX_SOCKETS,
        max_of_a_user: int = MAX_SOCKETS_OF_A_USER,
        max_of_an_address: int = MAX_SOCKETS_OF_AN_ADDRESS,
    ) -> None:
        self._max_sockets = max_sockets
        self._watchers: set[Watcher] = set()
        self._of_user: Share[int] = Share(max_of_a_user)
        self._of_address: Share[str] = Share(max_of_an_address)

    def __len__(self) -> int:
        return len(self._watchers)

    def __iter__(self) -> Iterator[Watcher]:
        return iter(tuple(self._watchers))

    def add(self, watcher: Watcher) -> None:
        """Let a socket in. Raises TooMany."""
        if (
            len(self._watchers) >= self._max_sockets
            or self._of_user.is_full(watcher.user)
            or (watcher.address and self._of_address.is_full(watcher.address))
        ):
            raise TooMany
        self._watchers.add(watcher)
        self._of_user.take(watcher.user)
        self._of_address.take(watcher.address)

    def remove(self, watcher: Watcher) -> None:
        if watcher not in self._watchers:
            return
        self._watchers.remove(watcher)
        self._of_user.give_back(watcher.user)
        self._of_address.give_back(watcher.address)

    def tell(self, changed: Set[int]) -> None:
        for watcher in self._watchers:
            watcher.hear(changed)
