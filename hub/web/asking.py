"""What is said on a page when an agent is asked and does not simply answer."""

from __future__ import annotations

import asyncio
import time

from asgiref.sync import sync_to_async
from sysmonstm_proto import metrics_pb2 as pb

from hub.control.ask import NoAnswer, NotConnected, ask
from hub.machines.models import Machine
from hub.machines.presence import Presence, presence
from hub.storage import states
from hub.web.templatetags import units
from hub.web.tidy import tidy

# With new settings an agent is back after about a second.
AGAIN_S = 1.0


class Unanswered(Exception):
    """There is no answer; the text says why, and what can be done."""


async def answer(
    machine: Machine, command: pb.ControlCommand, timeout_s: float = 5.0
) -> pb.ControlAnswer:
    """Ask a machine's agent. Raises Unanswered."""
    try:
        found = await _patiently(machine, command, timeout_s)
    except NotConnected:
        raise Unanswered(await sync_to_async(why_not)(machine)) from None
    except NoAnswer as none:
        raise Unanswered(str(none)) from None
    tidy(found)
    if found.HasField("refused"):
        raise Unanswered(f"The agent refuses: {found.refused[:300]}")
    return found


async def _patiently(
    machine: Machine, command: pb.ControlCommand, timeout_s: float
) -> pb.ControlAnswer:
    """Ask again if nobody is there: agents connect anew now and then."""
    try:
        return await ask(machine.pk, command, timeout_s)
    except NotConnected:
        await asyncio.sleep(AGAIN_S)
        return await ask(machine.pk, command, timeout_s)


def why_not(machine: Machine) -> str:
    """Say why nobody could be asked."""
    sample = states.latest([machine]).get(machine.pk)
    now_ms = time.time_ns() // 1_000_000
    seen_ms = sample.received_ms if sample else None
    there = presence(
        seen_ms=seen_ms,
        now_ms=now_ms,
        interval_s=machine.interval_s,
        left_at=machine.left_at,
    )
    if there is Presence.NEVER:
        return (
            f"{machine} has never sent a sample. Once its agent runs and reaches this "
            "hub, it can be asked."
        )
    seen = units.ago((now_ms - (seen_ms or now_ms)) / 1000)
    if there is Presence.STOPPED:
        return f"The agent of {machine} was stopped; it was last seen {seen}."
    if there is Presence.OFFLINE:
        return (
            f"{machine} is offline: it was last seen {seen}. "
            "It can be asked when it is back."
        )
    version = f" {machine.agent_version}" if machine.agent_version else ""
    return (
        f"{machine} sends samples, but its agent{version} is not connected for "
        "questions. If that stays so, it is too old for them: update it."
    )
