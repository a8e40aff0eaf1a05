"""`manage.py alertserve`: rules are watched, as a process of its own or several."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from hub.alerts.watch import Watch
from hub.checks import SEVERAL_PROCESSES
from hub.events.bus import get_bus
from hub.health.background import measuring

# In the folder for temporary files; `deploy/probe.py` looks at its age. Each user has
# one: another's cannot be written.
ALIVE = f"sysmonstm-alertserve-{os.getuid()}"


class Command(BaseCommand):
    help = "Watch the rules: evaluate samples as they come, open and resolve alerts."
    # They run in `handle`, as one process of several.
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.check(tags=[SEVERAL_PROCESSES], include_deployment_checks=True)
        asyncio.run(_watch())


async def _watch() -> None:
    alive = Path(tempfile.gettempdir(), ALIVE)
    async with measuring("alertserve"):
        watching = asyncio.create_task(Watch(get_bus(), alive=alive.touch).run())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, watching.cancel)
        with suppress(asyncio.CancelledError):
            await watching
    await get_bus().close()
