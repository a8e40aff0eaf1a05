"""Which series of a metric a rule is about: `mountpoint=/data`, `device!=loop*`.

An attribute is named in full or by its last part. One that a series does not have
counts as empty, so `cpu.mode=` keeps the series without it; `{}` stands for
"without attributes at all".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property, lru_cache
from typing import Literal, TypedDict

Attributes = Sequence[tuple[str, str]]

BARE = "{}"
MAX_MATCHERS = 16
MAX_LENGTH = 256

_NAME = re.compile(r"[A-Za-z_][\w.]*\Z")
# A comma within a value is written twice.
_COMMA = re.compile(r"(?<!,),(?!,)")


class BadMatcher(ValueError):
    """What a person typed cannot be understood; says why in a sentence."""


class Row(TypedDict):
    name: str
    op: Literal["=", "!="]
    glob: str


@dataclass(frozen=True)
class Matcher:
    # "" = all attributes together: only `{}` is said of them.
    name: str
    glob: str
    negated: bool = False

    def accepts(self, attributes: Attributes) -> bool:
        if not self.name:
            return not attributes
        return bool(self._pattern.match(self._value(attributes))) is not self.negated

    def _value(self, attributes: Attributes) -> str:
        for key, value in attributes:
            if key == self.name or key.endswith(f".{self.name}"):
                return value
        return ""

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return _compiled(self.glob)

    def __str__(self) -> str:
        if not self.name:
            return BARE
        value = self.glob.replace(",", ",,")
        return f"{self.name}{'!=' if self.negated else '='}{value}"


def accept(matchers: Iterable[Matcher], attributes: Attributes) -> bool:
    return all(matcher.accepts(attributes) for matcher in matchers)


def parse(text: str) -> tuple[Matcher, ...]:
    """Read what a person typed. Raises BadMatcher."""
    parts = [part.strip() for part in _COMMA.split(text)]
    found = tuple(_one(part.replace(",,", ",")) for part in parts if part)
    if len(found) > MAX_MATCHERS:
        raise BadMatcher(f"A rule has at most {MAX_MATCHERS} matchers.")
    return found


def written(matchers: Iterable[Matcher]) -> str:
    return ", ".join(map(str, matchers))


def from_rows(rows: Iterable[Mapping[str, str]]) -> tuple[Matcher, ...]:
    return tuple(Matcher(row["name"], row["glob"], row["op"] == "!=") for row in rows)


def to_rows(matchers: Iterable[Matcher]) -> list[Row]:
    return [
        {"name": one.name, "op": "!=" if one.negated else "=", "glob": one.glob}
        for one in matchers
    ]


def _one(text: str) -> Matcher:
    if text == BARE:
        return Matcher("", "")
    name, equals, glob = text.partition("=")
    negated = name.endswith("!")
    name, glob = name.removesuffix("!").strip(), glob.strip()
    if not equals:
        raise BadMatcher(
            f"“{text}” has no = sign; write it like mountpoint=/data or device!=loop*."
        )
    if not _NAME.match(name):
        raise BadMatcher(f"“{name}” is not the name of an attribute.")
    if len(text) > MAX_LENGTH:
        raise BadMatcher(f"A matcher has at most {MAX_LENGTH} characters.")
    return Matcher(name, glob, negated)


@lru_cache(maxsize=1024)
def _compiled(glob: str) -> re.Pattern[str]:
    # Case counts on every system, unlike in fnmatch itself.
    return re.compile(translate(glob))
