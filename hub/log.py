"""Structured logs: an event name and its fields, as JSON or for people.

    log = get_logger(__name__)
    log.info("stream.opened", machine="web-1")

error = a person must act; warning = something was lost; info = state changed.
"""

from __future__ import annotations

import logging
import logging.config
import sys
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
        },
    }


def _formatter(*, console: bool) -> logging.Formatter:
    if console:
        render: list[structlog.typing.Processor] = [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        ]
    else:
        render = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *render,
        ],
    )
