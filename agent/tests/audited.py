"""Ask a whole agent everything, and nonsense, while Python itself keeps watch.

    python -m tests.audited FOLDER

Prints what was started, and which files were opened that are not those it is for.
A process of its own: an audit hook stays for good.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
from pathlib import Path
from typing import Any

from sysmonstm_proto import metrics_pb2 as pb

from tests.conftest import FIXTURES
from tests.patience import until
from tests.whole_hub import WholeHub, agent_of

# https://docs.python.org/3/library/audit_events.html
STARTS = (
    *("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork"),
    *("os.startfile", "pty.", "ctypes.dlopen", "code.", "socket.bind", "ensurepip."),
    *("shutil.", "os.chmod", "os.chown", "os.symlink", "os.link", "os.mkdir"),
)
# What is made anew in its own folder, and nowhere else.
CHANGES = ("os.remove", "os.rename", "os.truncate")
NONSENSE = 150


class Audit:
    def __init__(self, folder: Path) -> None:
        self.on = False
        self.started: list[str] = []
        self.opened: list[str] = []
        self._folder = str(folder)
        self.mine = (
            # The machine's own files, as the agent is told where they are.
            f"{FIXTURES}/web/",
            "/proc/self/statm",
            str(folder),
            # Python's modules, and the names of users.
            *{path for path in sys.path if path},
            sys.prefix,
            sys.base_prefix,
            "/etc/passwd",
            "/etc/nsswitch.conf",
            "/etc/localtime",
        )

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event.startswith(STARTS) or (
            event.startswith(CHANGES) and not self._own(arguments)
        ):
            self.started.append(f"{event} {arguments!r}")
        elif event == "open" and isinstance(arguments[0], str | bytes):
            path = arguments[0]
            self.opened.append(path if isinstance(path, str) else path.decode())

    def _own(self, arguments: tuple[Any, ...]) -> bool:
        paths = [str(one) for one in arguments if not isinstance(one, int)]
        return all(path.startswith(f"{self._folder}/spool/") for path in paths)

    @property
    def elsewhere(self) -> list[str]:
        # What is not a full path is below a folder that was opened before.
        return sorted(
            {p for p in self.opened if p[:1] == "/" and not p.startswith(self.mine)}
        )


def nonsense(chance: random.Random) -> pb.ControlCommand:
    """Return what a hub that has gone mad might ask, but for its number."""
    command = pb.ControlCommand()
    raw = chance.randbytes(chance.randrange(1, 60))
    try:
        command.ParseFromString(raw)
    except Exception:  # noqa: BLE001 - most bytes are no message
        command.Clear()
    command.timeout_ms = chance.choice([0, 1, 2_000, 2**32 - 1])
    if not command.WhichOneof("body"):
        if chance.random() < 0.5:
            command.list_processes.limit = chance.randrange(2**32)
        else:
            command.live_mode.interval_ms = chance.randrange(2**32)
            command.live_mode.lease_ms = chance.randrange(2**32)
    return command


def wishes(chance: random.Random) -> pb.AgentConfig:
    texts = [
        "../../etc/shadow",
        "/etc/shadow",
        "file:///etc/shadow",
        "$(id)",
        "a" * 999,
    ]
    return pb.AgentConfig(
        version=chance.randrange(1, 2**60),
        collectors={chance.choice([*texts, "cpu", "disk"]): chance.random() < 0.5},
        skip_mounts=chance.choices(texts, k=3),
        skip_devices=chance.choices(texts, k=3),
        skip_interfaces=chance.choices(texts, k=3),
        labels={chance.choice(texts): chance.choice(texts)},
        processes=pb.ProcessRing(entries=chance.randrange(2**32)),
    )


async def ask_everything(hub: WholeHub, audit: Audit) -> None:
    await until(lambda: hub.controls.call and hub.metrics.sequences)
    audit.on = True
    for body in (
        {"collect_now": pb.CollectNow()},
        {"list_processes": pb.ListProcesses()},
        {"summarise_connections": pb.SummariseConnections()},
        {"diagnose": pb.Diagnose()},
        {"live_mode": pb.LiveMode(interval_ms=1_000, lease_ms=60_000)},
        {"ping": pb.Ping()},
    ):
        answer = await hub.controls.ask(**body)
        assert answer.WhichOneof("body") != "refused", answer
    await until(lambda: hub.metrics.of("instant"))
    chance = random.Random(5)
    for number in range(NONSENSE):
        command = nonsense(chance)
        command.request = 10_000 + number
        await hub.controls.call.write(command)
        if number % 10 == 0:
            await hub.configs.wishes.put(wishes(chance))
    await until(lambda: len(hub.configs.reports) == NONSENSE // 10)
    # Nonsense may ask for its answer in no time, and then gets none. This one comes
    # after all of it has been heard.
    last = await hub.controls.send(timeout_s=60, ping=pb.Ping())
    await until(lambda: hub.controls.answer(last))
    audit.on = False


async def main(folder: Path) -> None:
    audit = Audit(folder)
    sys.addaudithook(audit.hook)
    disk = {"COLLECTOR_SPOOL_DIR": str(folder / "spool")}
    async with WholeHub().serving() as hub, agent_of(hub, folder, disk):
        await ask_everything(hub, audit)
    found = {
        "answers": len(hub.controls.answers),
        "started": audit.started,
        "opened": len(audit.opened),
        "elsewhere": audit.elsewhere,
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    logging.disable()
    asyncio.run(main(Path(sys.argv[1])))
