"""What an agent with everything on meets: stand-ins on sockets, and a full folder.

No container runs here, and no systemd: an engine's socket answers with written
JSON for 20 containers, a bus with 300 units. What it costs the engine or systemd
to answer is therefore not in the figures; what it costs the agent is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.testing.hubs import ROOT

# The agent's tests have them.
sys.path.append(str(ROOT / "agent"))

from tests import bus, engine

CONTAINERS, UNITS, OWN_SERIES = 20, 300, 50
LABEL = f"everything on: {CONTAINERS} containers, {UNITS} units (stand-ins)"


@contextmanager
def everything(folder: Path) -> Iterator[dict[str, str]]:
    """Serve it all; yield the agent's variables for it."""
    own = folder / "own"
    own.mkdir()
    lines = (f'own_seconds{{number="{n}"}} {n}' for n in range(OWN_SERIES))
    (own / "own.prom").write_text("\n".join(lines) + "\n")
    units = [(f"unit-{n}.service", "loaded", "active") for n in range(UNITS)]
    with (
        engine.listening(folder / "engine") as served,
        bus.listening(folder / "bus", units),
    ):
        served.moving = True
        for number in range(CONTAINERS):
            served.add(f"container-{number}")
        yield {
            "COLLECTOR_CONTAINER_SOCKET": str(folder / "engine"),
            "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={folder}/bus",
            "COLLECTOR_TEXTFILE_DIR": str(own),
        }
