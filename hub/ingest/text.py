"""Text from a machine, made safe to keep, log and show.

Anything may stand in a mount point or a host name. What could break a log line,
a page or the database (NUL, control characters, line and paragraph separators,
direction overrides, invisible characters) is written out as its escape, so that
two different names stay different. HTML is the business of whoever shows it.
"""

from __future__ import annotations

import re
import unicodedata

from sysmonstm_proto.limits import MAX_TEXT_BYTES

# Control, format (direction overrides, zero width), surrogate, separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

# OpenTelemetry's rule for instrument names.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.\-/]*")

# A machine's name is one segment of a page's address.
_NOT_IN_A_PATH = frozenset("/\\?#%")


class BadText(ValueError):
    """A name that cannot be kept as it is (permanent)."""


def plain(text: str, *, limit_bytes: int = MAX_TEXT_BYTES) -> str:
    """Return the text with what is unsafe escaped, cut to the limit."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(_escaped(character) for character in text)
    return cut(text, limit_bytes)


def cut(text: str, limit_bytes: int) -> str:
    """Return as much of the text as fits, never half a character."""
    if len(text) * 4 <= limit_bytes:
        return text
    return text.encode()[:limit_bytes].decode(errors="ignore")


def name(text: str, what: str) -> str:
    """Return a metric's name or an attribute's key; raise BadText."""
    if len(text) > MAX_TEXT_BYTES:
        raise BadText(f"{what} is longer than {MAX_TEXT_BYTES} bytes")
    if not _NAME.fullmatch(text):
        raise BadText(f"{what} {plain(text)!r} is not a name")
    return text


def machine_id(text: str) -> str:
    """Return the id of a machine; raise BadText with a sentence for people."""
    if not text.strip():
        raise BadText("The machine_id is empty.")
    if len(text.encode(errors="replace")) > MAX_TEXT_BYTES:
        raise BadText(f"The machine_id is longer than {MAX_TEXT_BYTES} bytes.")
    if text != text.strip() or plain(text) != text:
        raise BadText(
            "The machine_id has blanks at its ends or characters that cannot be seen."
        )
    if _NOT_IN_A_PATH & set(text) or text in {".", ".."}:
        raise BadText("The machine_id must do without / \\ ? # % and is not a dot.")
    return text


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in _UNSAFE:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
