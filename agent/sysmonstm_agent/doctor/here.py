"""What can be seen on this machine alone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import timedelta

from sysmonstm_agent.collectors.filesystem import UNRESPONSIVE
from sysmonstm_agent.config import Config
from sysmonstm_agent.doctor.finding import Finding, fail, ok, warn
from sysmonstm_agent.files import Files
from sysmonstm_agent.hub_address import is_loopback
from sysmonstm_agent.open_spool import folder_of
from sysmonstm_agent.registry import collectors
from sysmonstm_agent.report import binary, duration
from sysmonstm_agent.sampler import DURATION, OMITTED, SUCCESS, Sampler
from sysmonstm_agent.spool import SpoolRefused
from sysmonstm_agent.spool_file import FIXED_BYTES
from sysmonstm_agent.spool_folder import SYSTEM
from sysmonstm_agent.spool_report import document
from sysmonstm_agent.variables import PROC_ROOT, SYS_ROOT, TOKEN

# Below this a machine has other troubles too.
LEAST_FREE_BYTES = 16 * 1024**2
# Of the spool's age or size: soon samples are lost.
NEARLY_FULL = 0.8
# Of mounts that hang.
MAX_NAMED = 5
# Rotated twice in this time, at least.
OLD = 3


def look(config: Config) -> Iterator[Finding]:
    yield settings(config)
    yield credential(config)
    yield measures(config)
    yield from spool(config)


def settings(config: Config) -> Finding:
    how = "TLS" if config.tls else "plain text"
    if config.tls:
        how += ", the hub's own authority" if config.ca else ", public authorities"
    text = f"{config.machine_id} reports to {config.target} ({how})"
    if config.tls or is_loopback(config.target):
        return ok("settings", f"{text}.")
    if config.plaintext:
        return warn("settings", f"{text}: all between can hear it. Use TLS.")
    return fail("settings", f"{text}, which is refused: use https://.")


def credential(config: Config) -> Finding:
    what, kept = "credential", config.credential
    if config.token:
        return warn(
            what,
            f"the token of {TOKEN.variable} is used, which many machines may share;"
            " `sysmonstm-agent enrol` gives this one its own.",
        )
    if kept is None:
        if config.state_dir != SYSTEM and SYSTEM.exists():
            return fail(
                what,
                f"none in {config.state_dir}. The service of this machine keeps its own"
                f" in {SYSTEM}: call the doctor as root.",
            )
        if is_loopback(config.target):
            return warn(
                what, "none: only a hub on this machine may hear this agent without."
            )
        return fail(
            what,
            f"none in {config.state_dir} for this hub: run the command that the hub's"
            " page Add machine shows.",
        )
    age_s = max(1.0, time.time() - kept.made)
    age = " ".join(duration(age_s))
    if kept.next:
        return warn(
            what, f"{age} old; a rotation of it was interrupted, and goes on by itself."
        )
    if config.rotation_s and age_s > OLD * config.rotation_s:
        every = timedelta(seconds=config.rotation_s)
        return warn(
            what,
            f"{age} old, and should be replaced every {every.days} d: see the log.",
        )
    return ok(what, f"of this machine, {age} old, in {config.state_dir}.")


def spool(config: Config) -> Iterator[Finding]:
    folder = folder_of(config)
    if folder is None:
        yield warn("spool", "in memory: what waits is lost when the agent ends.")
        return
    try:
        found = document(config, folder)
    except (SpoolRefused, OSError) as refused:
        yield fail("spool", str(refused))
        return
    yield running(found["agent_pid"])
    if "trouble" in found:
        yield warn("spool", f"{folder.path}: {found['trouble']}.")
    else:
        share = found["size_bytes"] / (config.spool_max_bytes - FIXED_BYTES)
        size = " ".join(binary(found["size_bytes"], suffix=""))
        text = f"{found['spooled']} samples wait, in {size}"
        if found["evicted"]:
            text += f"; {found['evicted']} were dropped when it was full"
        if share > NEARLY_FULL:
            yield warn("spool", f"{text}: {share:.0%} full, soon the oldest are lost.")
        else:
            yield ok("spool", f"{text}.")
    yield disk(config)


def measures(config: Config) -> Finding:
    """Read the kernel's files once, as the agent does."""
    sampler = Sampler(collectors(Files(config.proc_root, config.sys_root)))
    found = [r for r in sampler.readings() if r.metric not in (DURATION, SUCCESS)]
    where = f"{config.proc_root} and {config.sys_root}"
    failed = [f"{k} ({v.failure})" for k, v in sampler.states.items() if v.failure]
    hung = [
        reading.attributes["system.filesystem.mountpoint"]
        for reading in found
        if reading.metric is UNRESPONSIVE and reading.value
    ]
    if failed:
        return warn("measures", f"in {where}, what fails is {', '.join(failed)}.")
    if not found:
        return fail(
            "measures",
            f"nothing is found in {where}: {PROC_ROOT.variable} and"
            f" {SYS_ROOT.variable} say where they are mounted.",
        )
    text = f"{len(found)} series in {where}"
    if hung:
        names = ", ".join(hung[:MAX_NAMED])
        return warn("measures", f"{text}; of these mounts there is no answer: {names}.")
    if omitted := sum(r.value for r in found if r.metric is OMITTED):
        return warn("measures", f"{text}, and {omitted:.0f} more are left out.")
    return ok("measures", f"{text}.")


def running(pid: int | None) -> Finding:
    if pid is None:
        return fail(
            "agent",
            "none is running: systemctl enable --now sysmonstm-agent, or start"
            " sysmonstm-agent by hand.",
        )
    by = "by systemd" if of_systemd(pid) else "by hand: it will not be after a reboot"
    return ok("agent", f"running, process {pid}, started {by}.")


def of_systemd(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
            return "sysmonstm-agent.service" in file.read()
    except OSError:
        return False


def disk(config: Config) -> Finding:
    folder = folder_of(config)
    assert folder is not None
    place = folder.path
    while not place.exists():
        place = place.parent
    room = os.statvfs(place)
    free = room.f_bavail * room.f_frsize
    text = f"{' '.join(binary(free, suffix=''))} free at {place}"
    if room.f_flag & os.ST_RDONLY:
        return fail("disk", f"{place} is read-only: nothing waits there for the hub.")
    if not os.access(place, os.W_OK | os.X_OK):
        return fail(
            "disk",
            f"this user may not write in {place}: samples cannot wait for the hub."
            " It has to belong to the user that the agent runs as.",
        )
    if free < LEAST_FREE_BYTES:
        return fail("disk", f"{text}: samples cannot wait for the hub. Make room.")
    if free < config.spool_max_bytes:
        most = " ".join(binary(config.spool_max_bytes, suffix=""))
        return warn("disk", f"{text}, and the spool may take {most}.")
    return ok("disk", f"{text}.")
