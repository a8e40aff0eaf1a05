"""Other people's words within our sentences: they stay words.

Names of machines, mount points, processes and rules come from anywhere. In a message
they are one line, without control characters, and mean nothing to what renders it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from html import escape

MAX_LENGTH = 200
# They invert or hide what stands around them.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~])")
_MENTION = re.compile(r"@(?=\w)|(?<=[<&])[@!#]")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")

WORD_JOINER = "\u2060"


def plain(text: object, limit: int = MAX_LENGTH) -> str:
    """Return one visible line."""
    shown = "".join(
        " " if one.isspace() or unicodedata.category(one) in _HIDDEN else one
        for one in str(text)
    )
    line = " ".join(shown.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def chat(text: object) -> str:
    """Return a line for services that call people by `@name` or `<!channel>`."""
    return _MENTION.sub(lambda found: f"{found[0]}{WORD_JOINER}", plain(text))


def markdown(text: object) -> str:
    return _MARKDOWN.sub(r"\\\1", chat(text))


def html(text: object) -> str:
    return escape(plain(text))


def fill(template: str, values: Mapping[str, object]) -> str:
    """Put values in place of `{name}`; whatever else stands there stays.

    No template language: nothing that a person types can reach further than these.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        return plain(values[name]) if name in values else found[0]

    return _PLACEHOLDER.sub(value, template)


def unknown(template: str, known: Mapping[str, object] | set[str]) -> list[str]:
    """Return the placeholders that do not exist."""
    return [name for name in _PLACEHOLDER.findall(template) if name not in known]
