from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import pytest
from django.utils import timezone

from hub.machines.credentials import Holder
from hub.rpc.calls import (
    BEGUN,
    BEGUN_EVERY_S,
    MAX_OF_AGENT,
    REPLACED,
    Call,
    Calls,
    TooMany,
)
from hub.testing.patience import PATIENCE_S

DENIED = "No."
HOLDER = Holder(7, 3, "web-1")


class Context:
    """What gRPC gives a handler, as far as an end from outside needs it."""

    def __init__(self) -> None:
        self.aborted: list[tuple[grpc.StatusCode, str]] = []
        self.over = asyncio.Event()

    async def abort(self, code: grpc.StatusCode, sentence: str) -> None:
        self.aborted.append((code, sentence))
        self.over.set()


def call(
    context: Context, holder: Holder | None = HOLDER, *, method: str = "/Stream"
) -> Call:
    return Call(
        context, method=method, address="ipv4:192.0.2.7", digest="d", holder=holder
    )


async def test_an_agent_has_a_few_calls_of_each_kind() -> None:
    calls = Calls(DENIED)
    opened = [call(Context()) for _ in range(MAX_OF_AGENT)]
    for one in opened:
        calls.open(one)

    with pytest.raises(TooMany):
        calls.open(call(Context()))
    calls.open(call(Context(), method="/Watch"))
    calls.open(call(Context(), Holder(8, 4, "web-2")))
    calls.close(opened[0])
    calls.open(call(Context()))

    assert len(calls) == 4


async def test_one_that_was_refused_is_not_counted_out() -> None:
    calls = Calls(DENIED)
    for _ in range(MAX_OF_AGENT):
        calls.open(call(Context()))
    late = call(Context())
    for _ in range(3):
        with pytest.raises(TooMany):
            calls.open(late)
        calls.close(late)

    assert len(calls) == MAX_OF_AGENT


async def test_an_agent_that_comes_and_goes_is_slowed_down() -> None:
    now_s = 100.0
    calls = Calls(DENIED, lambda: now_s)

    def comes_and_goes(holder: Holder | None = HOLDER) -> None:
        one = call(Context(), holder)
        calls.open(one)
        calls.close(one)

    for _ in range(BEGUN):
        comes_and_goes()
    with pytest.raises(TooMany, match="too often"):
        comes_and_goes()
    calls.open(call(Context(), method="/Watch"))
    comes_and_goes(Holder(8, 4, "web-2"))
    # Without a credential it may be a whole site behind one address.
    for _ in range(BEGUN + 1):
        comes_and_goes(None)
    now_s += BEGUN_EVERY_S
    comes_and_goes()
    with pytest.raises(TooMany):
        comes_and_goes()


async def test_who_has_no_credential_is_counted_by_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hub.rpc.calls.MAX_OF_ADDRESS", 1)
    calls = Calls(DENIED)
    calls.open(call(Context(), None))

    with pytest.raises(TooMany):
        calls.open(call(Context(), None))


async def settle(calls: Calls) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*calls._ending)


async def handle(calls: Calls, context: Any, *, stubborn: bool) -> str:
    one = call(context)
    calls.open(one)
    try:
        # A read that raises when the call is over, or a wait for something else.
        await (asyncio.Event().wait() if stubborn else context.over.wait())
    except asyncio.CancelledError:
        return "cancelled"
    finally:
        calls.close(one)
    return "ended"


@pytest.mark.parametrize(("stubborn", "how"), [(False, "ended"), (True, "cancelled")])
async def test_a_call_is_ended_whatever_its_handler_waits_for(
    *, stubborn: bool, how: str
) -> None:
    calls, context = Calls(DENIED), Context()
    handler = asyncio.create_task(handle(calls, context, stubborn=stubborn))
    await asyncio.sleep(0)

    calls.keep({HOLDER.credential}, {})
    calls.keep({HOLDER.credential}, {})
    await settle(calls)

    assert await handler == how
    assert context.aborted == [(grpc.StatusCode.UNAUTHENTICATED, DENIED)]
    assert (len(calls), calls.live()) == (0, set())


async def test_who_was_not_looked_at_or_still_holds_stays() -> None:
    calls, context = Calls(DENIED), Context()
    calls.open(call(context))

    calls.keep({1, 2}, {})
    calls.keep({HOLDER.credential}, {"d": HOLDER})
    await settle(calls)

    assert context.aborted == []
    assert calls.live() == {HOLDER.credential}


async def test_a_replaced_secret_keeps_no_call_open_beyond_its_time() -> None:
    calls, context = Calls(DENIED), Context()
    now = timezone.now()
    calls.open(call(context))
    replaced = Holder(*(7, 3, "web-1"), until=now)

    calls.keep({HOLDER.credential}, {"d": replaced})
    early = asyncio.create_task(
        calls.sweep(every_s=0.001, now=lambda: now - timedelta(seconds=1))
    )
    await asyncio.sleep(0.02)
    assert context.aborted == []
    late = asyncio.create_task(calls.sweep(every_s=0.001, now=lambda: now))
    await asyncio.wait_for(context.over.wait(), PATIENCE_S)

    assert context.aborted == [(grpc.StatusCode.UNAVAILABLE, REPLACED)]
    for task in (early, late):
        task.cancel()
