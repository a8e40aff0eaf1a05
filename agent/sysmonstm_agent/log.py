"""Log an event and its fields, as JSON for programs or as a line for people."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal

LEVELS = ("debug", "info", "warning", "error")


class Log:
    """`log.warning("spool.full", dropped=12)`."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **fields: Any) -> None:
        self._log(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._log(logging.ERROR, event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """Log an error with the traceback of the exception being handled."""
        self._log(logging.ERROR, event, fields, exc_info=True)

    def _log(
        self, level: int, event: str, fields: dict[str, Any], exc_info: bool = False
    ) -> None:
        self._logger.log(level, event, extra={"fields": fields}, exc_info=exc_info)


def configure(*, level: str, style: Literal["json", "console"], **bound: str) -> None:
    """Write this process's events to stderr; `bound` fields go with each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json(bound) if style == "json" else Console(bound))
    # The root, so that what libraries log comes out in the same form.
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class Json(logging.Formatter):
    def __init__(self, bound: dict[str, str]) -> None:
        super().__init__()
        self._bound = bound

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "timestamp": moment(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **self._bound,
            **getattr(record, "fields", {"logger": record.name}),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str, ensure_ascii=False)


class Console(Json):
    def format(self, record: logging.LogRecord) -> str:
        fields = {**self._bound, **getattr(record, "fields", {})}
        words = [
            moment(record).astimezone().strftime("%H:%M:%S"),
            f"{record.levelname.lower():7}",
            record.getMessage(),
            *(f"{name}={value}" for name, value in fields.items()),
        ]
        if record.exc_info:
            words.append("\n" + self.formatException(record.exc_info))
        return " ".join(words)


def moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


log = Log("sysmonstm_agent")
