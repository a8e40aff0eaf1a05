from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from hub.events.bus import get_bus
from hub.ingest.lookups import Lookups
from hub.machines import credentials
from hub.machines.credentials import Holder
from hub.machines.models import Credential, Machine
from hub.people import secrets
from hub.rpc.roster import FRESH_S, Roster
from hub.storage.database import DatabaseDown
from hub.testing.patience import until, until_found

pytestmark = pytest.mark.django_db(transaction=True)


class Counted(Lookups):
    """Real questions to the real database, counted; away when told so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.away = False

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        self.asked.append(function.__name__)
        if self.away:
            raise DatabaseDown("told so")
        return await super().call(function, *args)


class Clock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@sync_to_async
def agents(count: int) -> list[str]:
    """Make so many; return their secrets."""
    made = [secrets.make("sma_") for _ in range(count)]
    machines = Machine.objects.bulk_create(
        Machine(machine_id=f"web-{number}") for number in range(count)
    )
    Credential.objects.bulk_create(
        Credential(machine=machine, digest=secrets.digest(secret))
        for machine, secret in zip(machines, made, strict=True)
    )
    return made


@asynccontextmanager
async def roster(
    *, runs: bool = True, limit: int = 20_000, poll_s: float = 0.05
) -> AsyncIterator[tuple[Roster, Counted, Clock]]:
    lookups, clock = Counted(), Clock()
    made = Roster(lookups, poll_s=poll_s, limit=limit, clock=clock)
    told: Callable[..., None] = lambda looked, still: None  # noqa: E731
    task = asyncio.create_task(made.run(get_bus(), told, set))
    try:
        await until(lambda: "tide" in lookups.asked and made._is_fresh())
        if not runs:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        yield made, lookups, clock
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await lookups.close()
        await get_bus().close()


def questions(lookups: Counted) -> int:
    return lookups.asked.count("holders")


async def test_a_thousand_that_come_at_once_are_a_few_questions() -> None:
    known = await agents(1000)

    async with roster() as (found, lookups, _):
        holders = await asyncio.gather(*(found.find(secret) for secret in known))
        first = questions(lookups)
        again = await asyncio.gather(*(found.find(secret) for secret in known))

    names = [holder.machine_id for holder in holders if holder]
    assert names == [f"web-{number}" for number in range(1000)]
    assert again == holders
    assert first <= 3
    # And those who come back are none at all.
    assert questions(lookups) == first


async def test_what_opens_nothing_is_never_remembered() -> None:
    async with roster() as (found, lookups, _):
        said = [await found.find(text) for text in ("", "x", "sma_" + "a" * 43, "ü")]
        said += [await found.find("x")]

    assert said == [None] * 5
    assert questions(lookups) == 5


async def test_who_is_revoked_is_forgotten_at_once() -> None:
    [secret] = await agents(1)

    # Only the bus can have said so: the next look is far away.
    async with roster(poll_s=600) as (found, _, _):
        holder = await found.find(secret)
        assert holder is not None
        await sync_to_async(credentials.revoke)(holder.machine, None)

        async def is_forgotten() -> bool:
            return await found.find(secret) is None

        await until_found(is_forgotten)


async def test_when_nobody_looks_any_more_everybody_is_asked_for_again() -> None:
    [secret] = await agents(1)

    async with roster(runs=False) as (found, lookups, clock):
        await found.find(secret)
        await found.find(secret)
        one = questions(lookups)
        clock.now_s += FRESH_S
        await found.find(secret)

    assert (one, questions(lookups)) == (1, 2)


async def test_while_the_database_is_away_those_who_are_known_stay_welcome() -> None:
    known, stranger = await agents(2)

    async with roster(runs=False) as (found, lookups, clock):
        first = await found.find(known)
        lookups.away = True
        clock.now_s += FRESH_S
        assert await found.find(known) == first
        with pytest.raises(DatabaseDown):
            await found.find(stranger)
        lookups.away = False
        assert await found.find(stranger) is not None


async def test_an_answer_that_was_overtaken_by_a_revocation_is_asked_for_again() -> (
    None
):
    [secret] = await agents(1)
    release, asked = asyncio.Event(), asyncio.Event()

    class Slow(Counted):
        async def call(self, function: Callable[..., Any], *args: Any) -> Any:
            answer = await super().call(function, *args)
            if function.__name__ == "holders" and not asked.is_set():
                # The database has answered; the answer is under way.
                asked.set()
                await release.wait()
            return answer

    lookups = Slow()
    found = Roster(lookups, poll_s=0.02)
    task = asyncio.create_task(found.run(get_bus(), lambda *_: None, set))
    finding = asyncio.create_task(found.find(secret))
    await asked.wait()
    machine = await Machine.objects.aget()
    reviews = found._reviews
    await sync_to_async(credentials.revoke)(machine.pk, None)
    await until(lambda: found._reviews != reviews)
    release.set()

    assert await finding is None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await lookups.close()
    await get_bus().close()


async def test_what_is_remembered_has_a_bound() -> None:
    known = await agents(20)

    async with roster(limit=10) as (found, lookups, _):
        for secret in known:
            await found.find(secret)
        asked = questions(lookups)
        holder = await found.find(known[-1])
        newest = questions(lookups)
        await found.find(known[0])

    assert isinstance(holder, Holder)
    assert (newest - asked, questions(lookups) - newest) == (0, 1)


async def test_when_an_agent_was_last_seen_is_noted() -> None:
    [secret] = await agents(1)

    async with roster() as (found, _, _):
        await found.find(secret)
        seen = Credential.objects.filter(last_used_at__isnull=False)
        await until_found(seen.aexists)
