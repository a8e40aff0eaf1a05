"""What is mounted, without touching it."""

from __future__ import annotations

import re
from typing import NamedTuple

# Views of the kernel's memory, and images that are full by nature.
PSEUDO = frozenset(
    [
        "autofs",
        "bdev",
        "binder",
        "binfmt_misc",
        "bpf",
        "cgroup",
        "cgroup2",
        "configfs",
        "cpuset",
        "debugfs",
        "devfs",
        "devpts",
        "devtmpfs",
        "efivarfs",
        "erofs",
        "fuse.gvfsd-fuse",
        "fuse.lxcfs",
        "fuse.portal",
        "fuse.snapfuse",
        "fusectl",
        "hugetlbfs",
        "iso9660",
        "mqueue",
        "nfsd",
        "none",
        "nsfs",
        "overlay",
        "pipefs",
        "proc",
        "pstore",
        "ramfs",
        "resctrl",
        "rootfs",
        "rpc_pipefs",
        "securityfs",
        "selinuxfs",
        "smackfs",
        "sockfs",
        "squashfs",
        "sysfs",
        "tmpfs",
        "tracefs",
        "udf",
    ]
)
# Files that a container engine mounts into every container.
ENGINE_FILES = frozenset({"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"})
OCTAL = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    point: str
    device: str
    type: str


def mounts(mountinfo: str) -> list[Mount]:
    """Return the file systems worth watching, each once, as the kernel orders them.

    Of a file system that is mounted in several places (bind mounts, subvolumes,
    containers) the place with the shortest path counts, and of several mounted
    over each other the last, which is the one that is seen.
    """
    seen = {}
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        columns, (type_, device, *_) = left.split(" "), right.split(" ")
        number, point = columns[2], unescape(columns[4])
        seen[point] = (number, Mount(point, unescape(device), type_))

    chosen: dict[str, Mount] = {}
    for number, mount in seen.values():
        if not wanted(mount):
            continue
        known = chosen.get(number)
        if known is None or len(mount.point) < len(known.point):
            chosen[number] = mount
    return list(chosen.values())


def wanted(mount: Mount) -> bool:
    # A container's own root is an overlay; all others lie over what is shown.
    root_of_container = mount.type == "overlay" and mount.point == "/"
    return root_of_container or (
        mount.type not in PSEUDO and mount.point not in ENGINE_FILES
    )


def unescape(text: str) -> str:
    r"""Undo the kernel's spelling of spaces and the like: `\040`."""
    return OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
