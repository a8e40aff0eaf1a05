"""Work shared by the members of a group, within one process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hub.events.event import MAX_DELIVERIES, Event, dead


@dataclass(slots=True)
class Task:
    event: Event
    deliveries: int = 0


class Group:
    """What one group has still to do of one topic."""

    def __init__(self, name: str, *, limit: int) -> None:
        self.name = name
        self.limit = limit
        self.lost = 0
        self.tasks: deque[Task] = deque()
        self.members: tuple[Member, ...] = ()

    def put(self, event: Event) -> None:
        self.tasks.append(Task(event))
        if len(self.tasks) > self.limit:
            self.tasks.popleft()
            self.lost += 1
        self.wake()

    def put_back(self, task: Task) -> None:
        self.tasks.appendleft(task)
        self.wake()

    def wake(self) -> None:
        for member in self.members:
            member.wake()


class Member:
    """Gets tasks one by one; asking for the next says that the last is done."""

    down = False

    def __init__(
        self, groups: Sequence[Group], *, bury: Callable[[Event], None]
    ) -> None:
        self._groups = groups
        self._bury = bury
        self._doing: tuple[Group, Task] | None = None
        self._woken = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        for group in groups:
            group.members = (*group.members, self)

    @property
    def lost(self) -> int:
        return sum(group.lost for group in self._groups)

    def __aiter__(self) -> Member:
        return self

    async def __anext__(self) -> Event:
        self._doing = None
        while (found := self._take()) is None:
            self._woken.clear()
            await self._woken.wait()
        self._doing = found
        task = found[1]
        task.deliveries += 1
        return task.event

    def wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)

    def leave(self) -> None:
        """Leave the group; what is not done is for another member."""
        for group in self._groups:
            group.members = tuple(one for one in group.members if one is not self)
        if self._doing is None:
            return
        group, task = self._doing
        if task.deliveries < MAX_DELIVERIES:
            group.put_back(task)
        else:
            self._bury(Event(dead(task.event.topic), task.event.payload))

    def _take(self) -> tuple[Group, Task] | None:
        waiting = [group for group in self._groups if group.tasks]
        if not waiting:
            return None
        oldest = min(waiting, key=lambda group: int(group.tasks[0].event.id))
        return oldest, oldest.tasks.popleft()
