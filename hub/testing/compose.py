"""Read docker-compose.yml as Docker does: merged and with its variables replaced."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yml"
OVERRIDE = ROOT / "docker-compose.override.yml"

_VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?:(?P<how>:-|:\?)(?P<text>[^}]*))?\})"
)


class NotSet(Exception):
    """A variable that must be set is not; the text is the file's own sentence."""


def read(path: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    content: dict[str, Any] = _replace(yaml.safe_load(path.read_text()), variables)
    return content


def _replace(node: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _replace(value, variables) for key, value in node.items()}
    if isinstance(node, list):
        return [_replace(value, variables) for value in node]
    return interpolate(node, variables) if isinstance(node, str) else node


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Replace ${A}, ${A:-default}, ${A:?sentence} and $$."""

    def value(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        found = variables.get(match["name"], "")
        if found or not match["how"]:
            return found
        if match["how"] == ":?":
            raise NotSet(match["text"])
        return match["text"]

    return _VARIABLE.sub(value, text)


def merge(base: Any, over: Any) -> Any:
    """Lay an override over a service: mappings join, ports and volumes add up."""
    if isinstance(base, dict) and isinstance(over, dict):
        shared = {key: merge(base[key], over[key]) for key in base.keys() & over.keys()}
        return {**base, **over, **shared}
    return over
