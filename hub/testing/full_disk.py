"""A disk that is full when a test says so, for a program that knows nothing of it.

A few lines of C stand before the C library: while a flag lies in their folder, no
file grows, and whoever tries is told ENOSPC, as by a file system without room. What
is there can be read and written over. Standard output is left alone.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int refused(int fd, off_t end) {
    struct stat file;
    int before = errno;
    int full = fd > 2 && access(FLAG, F_OK) == 0 && fstat(fd, &file) == 0
        && S_ISREG(file.st_mode) && end > file.st_size;
    errno = full ? ENOSPC : before;
    return full;
}

static off_t sum(const struct iovec *parts, int count) {
    off_t all = 0;
    for (int n = 0; n < count; n++) all += parts[n].iov_len;
    return all;
}

static off_t place(int fd) {
    struct stat file;
    if ((fcntl(fd, F_GETFL) & O_APPEND) && fstat(fd, &file) == 0) return file.st_size;
    return lseek(fd, 0, SEEK_CUR);
}

#define NEXT(name) __typeof__(name) *next = dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *from, size_t size) {
    NEXT(write);
    if (fd > 2 && access(FLAG, F_OK) == 0 && refused(fd, place(fd) + size)) return -1;
    return next(fd, from, size);
}
#define PWRITE(name, offset) \
ssize_t name(int fd, const void *from, size_t size, offset at) { \
    NEXT(name); \
    return refused(fd, at + size) ? -1 : next(fd, from, size, at); \
}
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)
#define PWRITEV(name, offset) \
ssize_t name(int fd, const struct iovec *parts, int count, offset at) { \
    NEXT(name); \
    return refused(fd, at + sum(parts, count)) ? -1 : next(fd, parts, count, at); \
}
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)
#define FALLOCATE(name, offset) \
int name(int fd, offset at, offset size) { \
    NEXT(name); \
    return refused(fd, at + size) ? ENOSPC : next(fd, at, size); \
}
FALLOCATE(posix_fallocate, off_t)
FALLOCATE(posix_fallocate64, off64_t)
"""


class Disk:
    """Full or not, for every program that was started while it was `preloaded`."""

    def __init__(self, folder: Path) -> None:
        self._flag, self.library = folder / "full", folder / "full.so"

    def fill(self) -> None:
        self._flag.touch()

    def free(self) -> None:
        self._flag.unlink(missing_ok=True)


@contextmanager
def disk() -> Iterator[Disk]:
    """Make one. Whoever runs under another user can see it, too."""
    with tempfile.TemporaryDirectory(prefix="full-disk-", dir="/tmp") as made:
        folder = Path(made)
        folder.chmod(0o755)
        source, made_disk = folder / "full.c", Disk(folder)
        source.write_text(SOURCE)
        subprocess.run(
            [
                *("cc", "-shared", "-fPIC", "-O1", f'-DFLAG="{folder}/full"', source),
                *("-o", made_disk.library, "-ldl"),
            ],
            check=True,
            timeout=300,
        )
        made_disk.library.chmod(0o755)
        yield made_disk


@contextmanager
def preloaded(disk: Disk) -> Iterator[None]:
    """Start programs on that disk for as long as the block lasts."""
    before = os.environ.get("LD_PRELOAD")
    os.environ["LD_PRELOAD"] = str(disk.library)
    try:
        yield
    finally:
        if before is None:
            del os.environ["LD_PRELOAD"]
        else:
            os.environ["LD_PRELOAD"] = before
