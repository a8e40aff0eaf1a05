"""An agent's answer, made safe to show: its machine may be anybody's by now.

What is stored is checked as it comes in; an answer is shown and forgotten, so it is
checked here. HTML is the business of the templates.
"""

from __future__ import annotations

import math
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from hub.ingest import text

MAX_TEXT_BYTES = 512
# More than any machine has of anything; as a moment, the year 5138.
MAX_NUMBER = 1e14

FLOATS = (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE)


def tidy(message: Message) -> None:
    """Escape what cannot be seen in every text, and make every number one."""
    for field, value in message.ListFields():
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            _tidy_map(value, kind.fields_by_name["value"])
        elif field.is_repeated:
            _tidy_list(value, field)
        elif field.message_type is not None:
            tidy(value)
        else:
            setattr(message, field.name, _safe(value, field))


def _tidy_list(values: Any, field: FieldDescriptor) -> None:
    if field.message_type is None:
        values[:] = [_safe(value, field) for value in values]
        return
    for value in values:
        tidy(value)


def _tidy_map(values: Any, field: FieldDescriptor) -> None:
    if field.type != FieldDescriptor.TYPE_STRING:
        return
    safe = {text.plain(key): _safe(value, field) for key, value in values.items()}
    values.clear()
    values.update(safe)


def _safe(value: Any, field: FieldDescriptor) -> Any:
    if field.type == FieldDescriptor.TYPE_STRING:
        return text.plain(value, limit_bytes=MAX_TEXT_BYTES)
    if field.type in FLOATS:
        return value if math.isfinite(value) and abs(value) <= MAX_NUMBER else 0.0
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) <= MAX_NUMBER else 0
    return value
