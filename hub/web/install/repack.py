"""A wheel of what is installed here, for machines like this one."""

from __future__ import annotations

import re
from importlib.metadata import Distribution
from pathlib import Path

from hub.web.install.wheel import Wheel, archive

# Written by whoever installed it, not by whoever made it.
INSTALLERS = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}


def repack(installed: Distribution) -> Wheel:
    """Put the files of a distribution back into the archive they came from."""
    files: dict[str, bytes] = {}
    info = ""
    for file in sorted(installed.files or ()):
        if ".." in file.parts or file.suffix == ".pyc" or file.is_absolute():
            # Scripts and bytecode are made anew where it is installed.
            continue
        if file.parts[0].endswith(".dist-info"):
            info = file.parts[0]
            if file.name in INSTALLERS:
                continue
        files[file.as_posix()] = Path(str(file.locate())).read_bytes()
    return archive(info.removesuffix(".dist-info"), _tag(installed), files)


def _tag(installed: Distribution) -> str:
    """Return such as "cp311-cp311-manylinux_2_17_x86_64", from its own words."""
    tags = re.findall(
        r"^Tag: (\S+)-(\S+)-(\S+)", installed.read_text("WHEEL") or "", re.M
    )
    return "-".join(
        ".".join(dict.fromkeys(tag[part] for tag in tags)) for part in range(3)
    )
