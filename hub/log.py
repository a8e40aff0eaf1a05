"""Structured logs: an event name and its fields, as JSON or for people.

    log = get_logger(__name__)
    log.info("stream.opened", machine="web-1")

error = a person must act; warning = something was lost; info = state changed.
"""

from __future__ import annotations

import logging
import logging.config
import re
import sys
from datetime import datetime
from typing import Any

import structlog

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

get_logger = structlog.stdlib.get_logger


def configure(*, level: str, fmt: str) -> dict[str, Any]:
    """Set structlog up and return Django's LOGGING for the same two formats."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {"()": _formatter, "console": False},
            "console": {"()": _formatter, "console": True},
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": fmt,
            }
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # One line a request is noise for a dashboard that polls nothing.
            "daphne": {"level": "WARNING"},
            "twisted": {"level": "WARNING"},
            "django.channels.server": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
            "websockets": {"level": "WARNING"},
            # A traceback each second while Redis is away; hub.control says it once.
            "channels_redis": {"level": "CRITICAL"},
        },
    }


# Sign-in links; secrets of agents, of enrolment, of the API. Some stand in addresses,
# and Django writes down the address of what it refuses.
_SECRET = re.compile(r"(/sign-in/link/|\bsm[aet]_)[\w-]{8,}")


class _Discreet(structlog.stdlib.ProcessorFormatter):
    """Leaves out what would let somebody in, wherever in a line it stands."""

    def format(self, record: logging.LogRecord) -> str:
        return _SECRET.sub(r"\1…", super().format(record))


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else repr(value)


def _formatter(*, console: bool) -> logging.Formatter:
    if console:
        render: list[structlog.typing.Processor] = [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        ]
    else:
        render = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=_plain),
        ]
    return _Discreet(
        foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *render,
        ],
    )
