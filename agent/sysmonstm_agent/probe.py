"""Ask mounts for their size without ever waiting long for one.

statvfs on a dead NFS server or a dying disk does not return, and cannot be
interrupted. So a helper thread asks, mount after mount. When one does not answer
in time the helper is left to it and another takes over the rest; from then on
that mount is nobody's wait: each tick takes the answer that has arrived since
the last, if one has, and asks again.

What is shown live has a probe of its own, for as long as somebody watches. It takes
its threads along when it goes; those that hang then are remembered, so that no
later probe sends another one after them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection
from queue import Empty, SimpleQueue

Answer = os.statvfs_result | OSError
Statvfs = Callable[[str], os.statvfs_result]

# Mounts with a helper of their own. Past it no others are asked: a machine with
# this many dead mounts has other troubles than a missing number.
MAX_SLOW = 8

# Whose probe is gone, and who wait for a mount all the same.
_left: set[Helper] = set()


class Probe:
    def __init__(self, statvfs: Statvfs, *, deadline_s: float) -> None:
        self._statvfs = statvfs
        self._deadline_s = deadline_s
        self._shared: Helper | None = None
        self._slow: dict[str, Helper] = {}

    def __del__(self) -> None:
        for helper in (self._shared, *self._slow.values()):
            if helper is not None:
                helper.leave()

    def ask(self, points: Collection[str]) -> dict[str, Answer]:
        """Return what each mount answered; those that did not in time are absent.

        Takes `deadline_s` for each mount that begins to hang, then no time.
        """
        for gone in self._slow.keys() - points:
            self._slow.pop(gone).leave()
        answers = {point: self._ask(point) for point in points}
        return {point: answer for point, answer in answers.items() if answer}

    def _ask(self, point: str) -> Answer | None:
        if slow := self._slow.get(point):
            answer = slow.answer(wait_s=0)
            if answer:
                slow.ask(point)
            return answer
        if len(self._slow) >= MAX_SLOW or self._is_waited_for(point):
            return None
        helper = self._shared = self._shared or Helper(self._statvfs)
        helper.ask(point)
        answer = helper.answer(wait_s=self._deadline_s)
        if answer is None:
            self._slow[point], self._shared = helper, None
        return answer

    def _is_waited_for(self, point: str) -> bool:
        """Say whether a helper that was left behind still hangs at this mount."""
        return any(
            helper.point == point and helper.statvfs == self._statvfs
            for helper in tuple(_left)
        )


class Helper:
    """A thread that answers one question at a time."""

    def __init__(self, statvfs: Statvfs) -> None:
        self.statvfs = statvfs
        # What it is asked; "" = nothing.
        self.point = ""
        # Neither ever holds more than one: who asks waits for the answer first.
        self._questions: SimpleQueue[str | None] = SimpleQueue()
        self._answers: SimpleQueue[Answer] = SimpleQueue()
        # A daemon, since the agent must be able to end while it is stuck.
        threading.Thread(target=self._run, name="statvfs", daemon=True).start()

    def ask(self, point: str) -> None:
        self.point = point
        self._questions.put(point)

    def answer(self, *, wait_s: float) -> Answer | None:
        try:
            return self._answers.get(timeout=wait_s)
        except Empty:
            return None

    def leave(self) -> None:
        """End the thread, as soon as it comes back."""
        _left.add(self)
        self._questions.put(None)

    def _run(self) -> None:
        while (point := self._questions.get()) is not None:
            answer: Answer
            try:
                answer = self.statvfs(point)
            except OSError as error:
                answer = error
            # Before the answer is out, after which it may be asked again.
            self.point = ""
            self._answers.put(answer)
        _left.discard(self)
