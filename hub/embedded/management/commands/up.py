"""Run the whole hub in this process, with an agent for this machine."""

from __future__ import annotations

import logging.config
import os
import signal
import sys
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from hub import log
from hub.embedded import claims


class Command(BaseCommand):
    help = "Run the hub and an agent for this machine; print a link to sign in."

    def handle(self, *args: Any, **options: Any) -> None:
        _end_quietly()
        _log_for_people()
        try:
            with claims.folder(settings.DATA_DIR):
                claims.ports_differ(settings.HTTP_PORT, settings.GRPC_PORT)
                claims.port("HTTP_PORT", settings.HTTP_HOST, settings.HTTP_PORT)
                claims.port("GRPC_PORT", settings.GRPC_HOST, settings.GRPC_PORT)
                self._migrate()
                self._serve()
        except claims.Refused as refused:
            sys.exit(f"sysmonstm: {refused}")

    def _migrate(self) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self.stderr.write("Preparing the database …")
            call_command("migrate", interactive=False, verbosity=0)

    def _serve(self) -> None:
        # Only now: these load the whole hub, and a refusal should be quick.
        from hub.asgi import application
        from hub.embedded import station
        from hub.embedded.web import Web
        from hub.people import owner, signin
        from hub.rpc import room
        from hub.rpc.server import PortInUse

        # Loading the application has set logging up once more.
        _log_for_people()
        path = signin.make_link(owner.owner())

        def ready(port: int) -> None:
            settings.HTTP_PORT = port
            self.stdout.write(f"Sign in: {signin.address(path)}")
            self.stdout.flush()

        connection.close()
        room.make()
        web = Web(application, settings.HTTP_HOST, settings.HTTP_PORT)
        try:
            web.run(partial(station.run, ready=ready))
        except PortInUse as taken:
            raise claims.Refused(str(taken)) from None


def _end_quietly() -> None:
    """Until the loop runs, a signal ends the start without a traceback."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))


def _log_for_people() -> None:
    """Where nothing else was asked for: only what matters, and readable."""
    chosen = settings.ENV.model_fields_set
    level = settings.ENV.log_level if "log_level" in chosen else "WARNING"
    on_terminal = "console" if sys.stderr.isatty() else "json"
    fmt = settings.ENV.log_format if "log_format" in chosen else on_terminal
    logging.config.dictConfig(log.configure(level=level, fmt=fmt))
    # The agent inherits them.
    os.environ |= {"LOG_LEVEL": level, "LOG_FORMAT": fmt}
