"""`sysmonstm-agent uninstall`: say goodbye to the hub, and remove what was kept.

What still waits for the hub is sent first, if the hub is there.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sysmonstm_agent import credential
from sysmonstm_agent.client import Client
from sysmonstm_agent.commands import Parsers, add_parser, as_owner
from sysmonstm_agent.config import Config
from sysmonstm_agent.credential import FILE, PENDING_FILE
from sysmonstm_agent.files import Files
from sysmonstm_agent.hub_address import BadConfig
from sysmonstm_agent.machine import machine
from sysmonstm_agent.open_spool import folder_of, open_spool
from sysmonstm_agent.spool import Spool

REASON = "uninstalled"
# For the hub to answer, and then for what waits to be acknowledged.
GREET_S = 15.0
SEND_S = 30.0
PART_S = 5.0
LOOK_S = 0.05


def add(parsers: Parsers[argparse.ArgumentParser]) -> None:
    made = add_parser(parsers, "uninstall")
    made.add_argument("--yes", action="store_true", help="do not ask first")


def run(options: argparse.Namespace, config: Config) -> int:
    as_owner(config.state_dir)
    doomed = kept(config)
    if not options.yes and not sure(doomed):
        return 1
    told = say_goodbye(config)
    for path in doomed:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            credential.remove(path)
    with contextlib.suppress(OSError):  # not empty, or not ours to remove
        config.state_dir.rmdir()
    said = [
        "The hub knows that this machine was uninstalled."
        if told
        else "The hub was not reached: it will take this machine for silent.",
        "What the agent kept is removed. Its history stays at the hub, until it is"
        " removed there too.",
    ]
    sys.stdout.write("\n".join(said) + "\n")
    return 0


def kept(config: Config) -> list[Path]:
    """Return what the agent puts on this machine, and nothing else."""
    found = [config.state_dir / name for name in (FILE, PENDING_FILE)]
    folder = folder_of(config)
    if folder is not None:
        if (pid := folder.holder()) is not None:
            raise BadConfig(
                f"an agent (process {pid}) still runs: systemctl disable --now"
                " sysmonstm-agent, or end it by hand, and then run this again."
            )
        found.append(folder.path)
    return found


def sure(doomed: list[Path]) -> bool:
    if not sys.stdin.isatty():
        raise BadConfig("there is nobody to ask whether to remove it all; say --yes.")
    sys.stdout.write("".join(f"{path}\n" for path in doomed if path.exists()))
    sys.stdout.write("Tell the hub goodbye, and remove these? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def say_goodbye(config: Config) -> bool:
    spool = open_spool(config)
    try:
        return asyncio.run(part(config, spool))
    finally:
        spool.close()


async def part(config: Config, spool: Spool) -> bool:
    """Send what waits, then the goodbye; say whether the hub was there."""
    files = Files(config.proc_root, config.sys_root)
    # What is about to be removed needs no new secret.
    client = Client(replace(config, rotation_s=None), machine(files), spool)
    talking = asyncio.create_task(client.run())
    try:
        await until(lambda: client.welcomed or talking.done(), GREET_S)
        if not client.welcomed:
            return False
        await until(lambda: not spool.oldest, SEND_S)
        if client.leave(REASON):
            await asyncio.wait({talking}, timeout=PART_S)
        return talking.done()
    finally:
        talking.cancel()
        # Why it could not be told is no reason to stay.
        with contextlib.suppress(asyncio.CancelledError, BadConfig):
            await talking


async def until(condition: Callable[[], object], limit_s: float) -> bool:
    deadline_s = time.monotonic() + limit_s
    # The client tells nobody how far it is; a person waits, and looks cost nothing.
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        await asyncio.sleep(LOOK_S)
    return True
