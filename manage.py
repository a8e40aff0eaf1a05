#!/usr/bin/env python3
"""The hub's commands: `manage.py up`, `grpcserve`, `apitoken`, `migrate`…"""

from __future__ import annotations

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
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
