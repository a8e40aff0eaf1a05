"""One bench, run in a fresh process on each kind of services."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack

KINDS = ("embedded", "production")
INSIDE = "SYSMONSTM_BENCH_INSIDE"


def is_inside() -> bool:
    """Tell whether this is the process that measures."""
    return bool(os.environ.get(INSIDE))


def begin() -> None:
    """Make the hub's code usable, on an empty database."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "hub.settings"
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def each(module: str, kinds: Iterable[str], *sizes: str) -> None:
    """Run a module again for each kind, in a process of its own.

    A process each, because settings are read once.
    """
    from hub.testing import hubs, services

    for kind in kinds:
        print(f"{kind}:", flush=True)
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            settings = {INSIDE: "1", "DATA_DIR": folder, "LOG_LEVEL": "ERROR"}
            settings["ALLOWED_HOSTS"] = "testserver"
            if kind == "production":
                settings["TIMESCALE_URL"] = stack.enter_context(services.postgres())
                settings["REDIS_URL"] = stack.enter_context(services.redis())
            subprocess.run(
                [sys.executable, "-m", module, *sizes],
                env=hubs.environment(**settings),
                cwd=hubs.ROOT,
                check=True,
            )
