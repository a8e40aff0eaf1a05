"""`sysmonstm-agent push`: a value of one's own, by way of the drop-in folder.

No socket, no port: a file is written beside the others and renamed, which the
agent of this machine reads at its next tick.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import math
import os
import re
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sysmonstm_proto import limits

from sysmonstm_agent.collectors.textfile import load
from sysmonstm_agent.commands import Parsers, add_parser, as_owner
from sysmonstm_agent.config import Config
from sysmonstm_agent.exposition import UNIT, BadLine, check_name, parse

# Half of what the folder may hold.
MAX_PUSHED = 100
MAX_ATTRIBUTES = 16
MAX_TTL_S = 30 * 86400
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]*")


class Refused(Exception):
    """A sentence for the person who pushes."""


def add(parsers: Parsers[argparse.ArgumentParser]) -> None:
    made = add_parser(parsers, "push")
    made.add_argument("name", help="such as backup.duration")
    made.add_argument("value", help="a number")
    made.add_argument("--unit", default="", help="UCUM, such as s, By, 1 or {file}")
    made.add_argument("--about", default="", help="one sentence for people")
    made.add_argument(
        "--attribute",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="tells values of one name apart; may be given more than once",
    )
    made.add_argument(
        "--ttl", default="1d", help="how long the value stands, such as 90s, 26h (1d)"
    )


def run(options: argparse.Namespace, config: Config) -> int:
    as_owner(config.state_dir)
    try:
        push(
            config.sources.textfile_dir,
            text(options, time.time()),
            identity(options.name, attributes(options.attribute)),
        )
    except Refused as refused:
        sys.stderr.write(f"sysmonstm-agent: {refused}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"sysmonstm-agent: not written: {error}\n")
        return 1
    return 0


def text(options: argparse.Namespace, now_s: float) -> str:
    """Return the file for what was asked. Raises Refused."""
    try:
        check_name(options.name)
    except BadLine as trouble:
        raise Refused(f"the metric {trouble}.") from None
    if options.unit and not UNIT.fullmatch(options.unit):
        raise Refused("the unit must be short printable ASCII, such as s or By.")
    if len(options.about.encode()) > limits.MAX_HELP_BYTES:
        raise Refused(f"the sentence is longer than {limits.MAX_HELP_BYTES} bytes.")
    labels = ",".join(
        f'{key}="{escape(value)}"'
        for key, value in attributes(options.attribute).items()
    )
    name, until_s = options.name, now_s + seconds(options.ttl)
    lines = [
        f"# EXPIRES {until_s:.0f}",
        f"# TYPE {name} gauge",
        *([f"# UNIT {name} {options.unit}"] if options.unit else []),
        *(
            [f"# HELP {name} {' '.join(options.about.split())}"]
            if options.about
            else []
        ),
        f"{name}{{{labels}}} {number(options.value)!r}",
    ]
    return "\n".join(lines) + "\n"


def number(said: str) -> float:
    try:
        value = float(said)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise Refused(f"the value must be a number, not {said[:60]!r}.")
    return value


def attributes(said: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for one in said:
        key, equals, value = one.partition("=")
        if not equals or not KEY.fullmatch(key) or key in pairs:
            raise Refused(f"an attribute is KEY=VALUE, each once, not {one[:60]!r}.")
        if max(len(key), len(value.encode("utf-8", "replace"))) > limits.MAX_TEXT_BYTES:
            raise Refused(f"an attribute has at most {limits.MAX_TEXT_BYTES} bytes.")
        pairs[key] = value
    if len(pairs) > MAX_ATTRIBUTES:
        raise Refused(f"there may be at most {MAX_ATTRIBUTES} attributes.")
    return pairs


def escape(value: str) -> str:
    value = value.replace("\\", "\\\\").replace('"', '\\"')
    # What would end the line; other odd characters stay what they are.
    return re.sub(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]", r"\\n", value)


def seconds(said: str) -> int:
    match = re.fullmatch(r"(\d{1,9})([smhd])", said.lower())
    length_s = int(match[1]) * SECONDS[match[2]] if match else 0
    if not 1 <= length_s <= MAX_TTL_S:
        raise Refused(
            f"the ttl must be from 1s to 30d, such as 90s, not {said[:60]!r}."
        )
    return length_s


def identity(name: str, attributes: dict[str, str]) -> str:
    """Return the name of the file: one for each series, so that the newest stands."""
    series = repr((name, sorted(attributes.items()))).encode("utf-8", "replace")
    return f"push-{hashlib.sha256(series).hexdigest()[:24]}.prom"


def push(
    folder: Path | None,
    content: str,
    name: str,
    *,
    wall: Callable[[], float] = time.time,
) -> None:
    """Write it where the agent looks. Raises Refused, OSError."""
    if folder is None:
        raise Refused("COLLECTOR_TEXTFILE_DIR says that there is no folder.")
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    pushed = {path.name for path in folder.glob("push-*.prom")}
    if name not in pushed and len(pushed) >= MAX_PUSHED:
        pushed -= clean(folder, pushed, wall())
        if len(pushed) >= MAX_PUSHED:
            raise Refused(f"{MAX_PUSHED} values stand already; wait or remove some.")
    path = folder / f".{name}.{secrets.token_hex(4)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    file = os.open(path, flags, 0o644)
    try:
        with os.fdopen(file, "w", encoding="utf-8", errors="replace") as writing:
            writing.write(content)
        path.rename(folder / name)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def clean(folder: Path, names: set[str], now_s: float) -> set[str]:
    """Remove what has expired; return which that was."""
    gone = set()
    for name in names:
        with contextlib.suppress(OSError):
            _, content = load(f"{folder}/{name}")
            if parse(content, most=1).expires_s <= now_s:
                (folder / name).unlink()
                gone.add(name)
    return gone
