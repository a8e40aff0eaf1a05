"""A small file for its own user alone, replaced whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def part_of(path: Path) -> Path:
    """Return where its new content lies until it is complete."""
    return path.with_name(f"{path.name}.part")


def replace(path: Path, content: bytes) -> None:
    """Put content in the place of what was there; at no moment there is a half one.

    Follows no symbolic link. Blocks until it is on the disk. Raises OSError.
    """
    part = part_of(path)
    part.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(part, flags, 0o600)
    with open(descriptor, "wb") as file:
        owner = os.stat(path.parent)
        if os.geteuid() == 0 != owner.st_uid:
            # Root writes for the service, whose folder it is.
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    os.rename(part, path)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Make renames in the folder last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
