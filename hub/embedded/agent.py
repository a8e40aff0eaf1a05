"""A real agent beside the hub, so that this machine is the first one shown."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from hub.env import Env
from hub.log import get_logger

LEASH = Path(__file__).with_name("leash.py")

# Between an agent's end and the next start: doubled each time, with full jitter.
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
# An agent that lived this long has recovered.
HEALTHY_S = 60.0

# An agent that does not end by then is killed; the hub itself has 5 s.
END_S = 1.5

log = get_logger(__name__)


async def keep_running(
    hub: str, *, token: str = "", command: tuple[str, ...] | None = None
) -> None:
    """Run an agent that streams to `hub` (host:port), again whenever it ends.

    Cancelled, it ends the agent and returns when there is none left.
    """
    command = command or (sys.executable, "-m", "sysmonstm_agent")
    environment = _environment(os.environ, hub, token)
    limit_s = FIRST_WAIT_S
    while True:
        started = time.monotonic()
        code = await _run(command, environment)
        if time.monotonic() - started >= HEALTHY_S:
            limit_s = FIRST_WAIT_S
        wait_s = random.uniform(0, limit_s)
        log.warning("embedded_agent.ended", code=code, again_in_s=round(wait_s, 1))
        await asyncio.sleep(wait_s)
        limit_s = min(limit_s * 2, LONGEST_WAIT_S)


async def _run(command: tuple[str, ...], environment: Mapping[str, str]) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-I", "-S", str(LEASH), str(os.getpid()), *command),
        stdin=asyncio.subprocess.DEVNULL,
        # Our own standard output carries the sign-in line and nothing else.
        stdout=sys.stderr.fileno(),
        env=environment,
        # Ctrl-C reaches the hub alone, which ends the agent in good order.
        process_group=0,
    )
    log.info("embedded_agent.started", pid=process.pid)
    try:
        return await process.wait()
    finally:
        await _end(process)


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), END_S)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _environment(ours: Mapping[str, str], hub: str, token: str) -> dict[str, str]:
    """Return the agent's environment: ours without the hub's own secrets.

    What it keeps for a hub that is away lies with the hub's own data.
    """
    private = {name.upper() for name in Env.model_fields} - {"LOG_LEVEL", "LOG_FORMAT"}
    kept = {name: value for name, value in ours.items() if name not in private}
    kept["COLLECTOR_AGGREGATOR_URL"] = hub
    # Not this machine's own agent's credential, if it is enrolled somewhere.
    own = str(settings.DATA_DIR / "agent")
    kept.setdefault("COLLECTOR_STATE_DIR", own)
    kept.setdefault("COLLECTOR_SPOOL_DIR", own)
    if token:
        kept["COLLECTOR_TOKEN"] = token
    return kept
