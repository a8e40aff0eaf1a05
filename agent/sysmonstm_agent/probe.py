"""Ask mounts for their size without ever waiting long for one.

statvfs on a dead NFS server or a dying disk does not return, and cannot be
interrupted. So a helper thread asks all of them, one after another. When one does
not answer in time the helper is left to it and another takes over the rest; from
then on that mount is nobody's wait: each tick takes the answer that has arrived
since the last, if one has, and asks again.

What is shown live has a probe of its own, for as long as somebody watches. It takes
its threads along when it goes; those that hang then are remembered, so that no
later probe sends another one after them.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
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
        answers = {point: helper.again(point) for point, helper in self._slow.items()}
        hung = {one.point for one in tuple(_left) if one.statvfs == self._statvfs}
        due = [p for p in points if p not in self._slow and p not in hung]
        while due and len(self._slow) < MAX_SLOW:
            found, due = self._ask(due)
            answers |= found
        return {point: answer for point, answer in answers.items() if answer}

    def _ask(self, due: list[str]) -> tuple[dict[str, Answer], list[str]]:
        """Return answers, and who is left to be asked because one hangs."""
        helper = self._shared = self._shared or Helper(self._statvfs)
        helper.ask(due)
        if helper.waited(self._deadline_s):
            return helper.take(), []
        stuck, rest = helper.give_up()
        if stuck:
            self._slow[stuck], self._shared = helper, None
        return helper.take(), rest


class Helper:
    """A thread that answers for some mounts at a time."""

    def __init__(self, statvfs: Statvfs) -> None:
        self.statvfs = statvfs
        # Where it is, and since when; "" = nowhere.
        self.point = ""
        self._since_s = 0.0
        self._due: deque[str] = deque()
        self._answers: dict[str, Answer] = {}
        # Neither ever holds more than one: who asks waits for the answers first.
        self._questions: SimpleQueue[bool] = SimpleQueue()
        self._done: SimpleQueue[bool] = SimpleQueue()
        # A daemon, since the agent must be able to end while it is stuck.
        threading.Thread(target=self._run, name="statvfs", daemon=True).start()

    def ask(self, points: Iterable[str]) -> None:
        self._due.extend(points)
        self._since_s = time.monotonic()
        self._questions.put(True)

    def waited(self, deadline_s: float) -> bool:
        """Return True once all have answered, False when one takes so long."""
        while True:
            left_s = self._since_s + deadline_s - time.monotonic()
            with contextlib.suppress(Empty):
                # Also past the deadline: it may be about to say that it is done.
                return self._done.get(timeout=max(left_s, 0.001))
            if left_s <= 0 and (self.point or self._due):
                return False

    def give_up(self) -> tuple[str, list[str]]:
        """Leave it the mount that it hangs at; return that, and who is still due."""
        rest = list(self._due)
        self._due.clear()
        stuck = self.point
        if not stuck and rest:
            # It has not even been let run.
            stuck = rest.pop(0)
            self._due.append(stuck)
        return stuck, rest

    def take(self) -> dict[str, Answer]:
        answers, self._answers = self._answers, {}
        return answers

    def again(self, point: str) -> Answer | None:
        """Return what a slow mount has answered since, and ask it again then."""
        try:
            self._done.get_nowait()
        except Empty:
            return None
        answer = self.take().get(point)
        self.ask([point])
        return answer

    def leave(self) -> None:
        """End the thread, as soon as it comes back."""
        _left.add(self)
        self._due.clear()
        self._questions.put(False)

    def _run(self) -> None:
        while self._questions.get():
            while self._due:
                self._answer()
            self._done.put(True)
        _left.discard(self)

    def _answer(self) -> None:
        # Whoever gives it up may have taken the last one.
        with contextlib.suppress(IndexError):
            point = self.point = self._due.popleft()
            self._since_s = time.monotonic()
            answer: Answer
            try:
                answer = self.statvfs(point)
            except OSError as error:
                answer = error
            # Before the answer is out, after which it may be asked again.
            self.point = ""
            self._answers[point] = answer
