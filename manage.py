#!/usr/bin/env python3
"""The hub's commands: `manage.py up`, `grpcserve`, `apitoken`, `migrate`…"""

from __future__ import annotations

import os
import sys

# gRPC reads it when it is loaded. Without it what comes in on a connection passes two
# more threads, a fourth of the CPU of a hub with 1,000 agents.
GRPC_EXPERIMENTS = "-event_engine_listener"


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    if sys.argv[1:2] == ["grpcserve"]:
        os.environ.setdefault("GRPC_EXPERIMENTS", GRPC_EXPERIMENTS)
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit(
            "sysmonstm: Django is not installed in this Python. Run `make up`, "
            "or use .venv/bin/python manage.py."
        )
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
