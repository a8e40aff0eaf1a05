"""Hours that expire are kept as Parquet: plain rows, a file for each day.

One file is written beside its place, read back, and only then put there; hours are
deleted after that. So a day is in the archive, in the database, or in both.
`archive_file.py` knows what such a file looks like.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction

from hub.log import get_logger
from hub.machines.models import Machine
from hub.storage import buckets
from hub.storage.bulk import fetch, times
from hub.storage.models import Watermark
from hub.storage.tiers import HOUR, floor, from_ms, hold

if TYPE_CHECKING:
    from hub.storage.archive_file import Part

DAY = timedelta(days=1)
# A day of 500 machines with 60 series is 720,000 rows, about 30 MB in memory.
MACHINES = 500

_OLDEST = """
SELECT min((SELECT min(h.time) FROM storage_hoursample h WHERE h.machine_id = m.id))
FROM machines_machine m
"""
_ANY = """
SELECT 1 FROM machines_machine m WHERE EXISTS (
    SELECT 1 FROM storage_hoursample h
    WHERE h.machine_id = m.id AND h.time >= %s AND h.time < %s
) LIMIT 1
"""

log = get_logger(__name__)


class ArchiveFailed(Exception):
    """The archive cannot be used now; the text is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A folder or a bucket. Calls raise OSError when it does not answer."""

    files: Any
    folder: str

    def path(self, day: date) -> str:
        return f"{self.folder}/{day:%Y}/{day:%Y-%m-%d}.parquet"

    def has(self, day: date) -> bool:
        from pyarrow.fs import FileType  # type: ignore[import-untyped]

        found = self.files.get_file_info(self.path(day)).type
        return bool(found == FileType.File)

    def days(self) -> list[tuple[date, int]]:
        """Return the days that are kept, ascending, and the size of each file."""
        from pyarrow.fs import FileSelector

        selector = FileSelector(self.folder, recursive=True, allow_not_found=True)
        found = []
        for info in self.files.get_file_info(selector):
            stem, _, ending = info.base_name.partition(".")
            if ending == "parquet":
                found.append((date.fromisoformat(stem), info.size))
        return sorted(found)


def open_archive() -> Archive:
    """Return the archive that ARCHIVE_URL names. Raises ArchiveFailed."""
    url = settings.ARCHIVE_URL
    if not url:
        raise ArchiveFailed("ARCHIVE_URL is not set: there is no archive.")
    try:
        # An extra: 150 MB that a hub without an archive does not need.
        from pyarrow.fs import FileSystem, LocalFileSystem
    except ImportError:
        raise ArchiveFailed(
            "ARCHIVE_URL is set, but pyarrow is not installed: "
            "pip install --require-hashes -r requirements/archive.txt"
        ) from None
    if url.startswith("/"):
        return Archive(LocalFileSystem(), url.rstrip("/"))
    try:
        files, folder = FileSystem.from_uri(url)
    except (OSError, ValueError) as refused:
        raise ArchiveFailed(f"ARCHIVE_URL cannot be used: {_said(refused)}") from None
    return Archive(files, folder)


def keep(end: datetime) -> int:
    """Archive every day of hours before `end`; return how many days.

    What is not archived must not be deleted: raises ArchiveFailed, and the
    tier's watermark says why until it has worked.
    """
    try:
        kept = sum(_keep(day) for day in _days(end))
    except ArchiveFailed as failed:
        Watermark.objects.filter(pk=HOUR.name).update(trouble=str(failed))
        raise
    Watermark.objects.filter(pk=HOUR.name).exclude(trouble="").update(trouble="")
    return kept


def restore(first: date, last: date, *, until: datetime) -> int:
    """Put the hours of these days back and hold them until a moment.

    Returns how many hours of machines. A day comes as a whole; one that the
    database still has is left alone. Raises ArchiveFailed.
    """
    archive, restored = open_archive(), 0
    for day, _ in _told(archive.days):
        if first <= day <= last:
            restored += _restore(archive, day, until)
    return restored


def _days(end: datetime) -> Iterator[date]:
    mark = Watermark.objects.get(pk=HOUR.name)
    start = mark.since
    if start is None:
        [(oldest,)] = fetch(_OLDEST)
        if oldest is None:
            return
        start = floor(from_ms(int(times([oldest])[0])), DAY)
    while start < end:
        yield start.date()
        start += DAY


def _keep(day: date) -> bool:
    """Archive a day; tell whether it had anything."""
    archive = open_archive()
    from hub.storage import archive_file as file

    path = archive.path(day)
    part = f"{path}.part"
    try:
        # A bucket has no folders, and says so by doing nothing.
        archive.files.create_dir(path.rpartition("/")[0], recursive=True)
        written = file.write(archive.files, part, _parts(day))
        if written.rows:
            if file.read_back(archive.files, part) != written:
                raise ArchiveFailed(f"{part} does not read as it was written.")
            if archive.has(day):
                before = file.read_back(archive.files, path).rows
                if before > written.rows:
                    raise ArchiveFailed(
                        f"{path} has {before} rows and the database only "
                        f"{written.rows}: it is left as it is. Move it away to go on."
                    )
            _put(archive, part, path)
            log.info("archive.kept", day=day.isoformat(), rows=written.rows)
        else:
            archive.files.delete_file(part)
    except (OSError, ValueError) as refused:
        raise ArchiveFailed(f"{day}: {_said(refused)}") from refused
    return bool(written.rows)


def _put(archive: Archive, part: str, path: str) -> None:
    """Put a file in its place, so that a power cut leaves the old one or this one."""
    if archive.files.type_name == "local":
        for name in (part, path.rpartition("/")[0]):
            number = os.open(name, os.O_RDONLY)
            try:
                os.fsync(number)
            finally:
                os.close(number)
    archive.files.move(part, path)


def _parts(day: date) -> Iterator[Part]:
    from hub.storage.archive_file import Part

    start = _moment(day)
    names = dict(Machine.objects.order_by("pk").values_list("pk", "machine_id"))
    machines = list(names)
    for at in range(0, len(machines), MACHINES):
        some = machines[at : at + MACHINES]
        for one in buckets.read(HOUR, some, start, start + DAY) or []:
            yield Part(one, names)


def _restore(archive: Archive, day: date, until: datetime) -> int:
    from hub.storage import archive_file as file

    start = _moment(day)
    with transaction.atomic():
        mark = hold(HOUR)
        if mark is None:
            raise ArchiveFailed("The hours are being worked on; try again in a minute.")
        if fetch(_ANY, [start, start + DAY]):
            return 0
        found = _told(lambda: file.read(archive.files, archive.path(day)))
        restored = buckets.write(HOUR, found)
        mark.since = min(start, mark.since or start)
        mark.hold = max(until, mark.hold or until)
        mark.save(update_fields=["since", "hold"])
    return restored


def _told(call: Any) -> Any:
    try:
        return call()
    except (OSError, ValueError) as refused:
        raise ArchiveFailed(_said(refused)) from refused


# Words of the AWS client in its errors, and what they mean to a person.
_MEANINGS = {
    "ACCESS_DENIED": "The archive does not let the hub in: check AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, and that they may read and write the bucket.",
    "allow_bucket_creation": "ARCHIVE_URL: there is no such bucket.",
    "NETWORK_CONNECTION": "The archive does not answer; it is asked again in an hour.",
}


def _said(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    meaning = [said for word, said in _MEANINGS.items() if word in text]
    return f"{meaning[0]} ({text})" if meaning else text


def _moment(day: date) -> datetime:
    return from_ms(0) + (day - date(1970, 1, 1))
