"""Metrics of one's own: a folder of *.prom files that anybody's script may write.

A script writes `name.prom.tmp` and renames it; `sysmonstm-agent push` does so by
itself. Everything is bounded: files, their size, the series of all together.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from sysmonstm_agent.collector import NoData
from sysmonstm_agent.exposition import Parsed, parse
from sysmonstm_agent.log import log
from sysmonstm_agent.metric import Metric, Reading, Series

SERIES = Metric(
    "sysmonstm.agent.textfile.series",
    "{series}",
    "Series that were taken from files, or left out because there are too many.",
)

MAX_FILES = 250
MAX_FILE_BYTES = 256 * 1024
MAX_SERIES = 200
# What has been complained about once: a file that is written every minute is not
# to fill the log.
MAX_TOLD = 500


class Version(NamedTuple):
    """Changes when the file does."""

    modified_ns: int
    size: int
    inode: int


class Textfile:
    name = "textfile"
    # The others are whatever the files hold.
    metrics = (SERIES,)

    def __init__(
        self,
        folder: Path | None,
        *,
        max_age_s: float,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._max_age_s = max_age_s
        self._wall = wall
        self._parsed: dict[str, tuple[Version, Parsed]] = {}
        self._told: set[tuple[str, str]] = set()

    def collect(self, now_s: float) -> Iterator[Reading]:
        names = self._names()
        wall_s = self._wall()
        self._parsed = {k: v for k, v in self._parsed.items() if k in names}
        metrics: dict[str, Metric] = {}
        taken: dict[Series, Reading] = {}
        left_out = 0
        for name in names:
            for reading in self._readings(name, wall_s):
                # What one file says of a metric counts for all.
                metric = metrics.setdefault(reading.metric.name, reading.metric)
                reading = reading._replace(metric=metric)
                if len(taken) < MAX_SERIES:
                    taken.setdefault(reading.series, reading)
                else:
                    left_out += reading.series not in taken
        if not taken:
            raise NoData("no files")
        yield Reading(SERIES, len(taken), {"state": "taken"})
        yield Reading(SERIES, left_out, {"state": "left_out"})
        yield from taken.values()

    def _names(self) -> list[str]:
        if self._folder is None:
            raise NoData("no folder")
        try:
            names = [name for name in os.listdir(self._folder) if is_ours(name)]
        except FileNotFoundError:
            raise NoData("no folder") from None
        if len(names) > MAX_FILES:
            self._tell(str(self._folder), f"has more than {MAX_FILES} files")
        return sorted(names)[:MAX_FILES]

    def _readings(self, name: str, wall_s: float) -> list[Reading]:
        found = self._load(name)
        if found is None:
            return []
        version, parsed = found
        if wall_s - version.modified_ns / 1e9 > self._max_age_s:
            self._tell(name, "is too old")
            return []
        return parsed.readings if wall_s < parsed.expires_s else []

    def _load(self, name: str) -> tuple[Version, Parsed] | None:
        """Return the file as it is now; None when it cannot be read."""
        path = f"{self._folder}/{name}"
        try:
            known = self._parsed.get(name)
            if known and known[0] == version_of(os.lstat(path)):
                return known
            version, text = load(path)
        except OSError as error:
            self._tell(name, f"cannot be read: {error.strerror or error}")
            return None
        parsed = parse(text, most=MAX_SERIES)
        for trouble in parsed.troubles:
            self._tell(name, trouble)
        self._parsed[name] = version, parsed
        return version, parsed

    def _tell(self, name: str, trouble: str) -> None:
        if (name, trouble) not in self._told and len(self._told) < MAX_TOLD:
            self._told.add((name, trouble))
            log.warning("textfile.trouble", file=name, trouble=trouble)


def is_ours(name: str) -> bool:
    return name.endswith(".prom") and not name.startswith(".")


def load(path: str) -> tuple[Version, str]:
    """Read a file, but nothing else: no link, no pipe, nothing large."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    file = os.open(path, flags)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("is no plain file")
        if status.st_size > MAX_FILE_BYTES:
            raise OSError(f"is larger than {MAX_FILE_BYTES // 1024} KiB")
        raw = os.read(file, MAX_FILE_BYTES)
        return version_of(status), raw.decode("utf-8", "replace")
    finally:
        os.close(file)


def version_of(status: os.stat_result) -> Version:
    return Version(status.st_mtime_ns, status.st_size, status.st_ino)
