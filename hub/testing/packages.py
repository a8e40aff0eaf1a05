"""Debian packages unpacked into a folder: no root, nothing installed.

Reads the sources that apt is configured with, but keeps lists and downloads in a
folder of its own. Only what the machine lacks is fetched beside what is asked for.
"""

from __future__ import annotations

import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from hub.testing.progress import Broken, step

# A second C library beside the machine's own loader crashes every program.
NEVER_UNPACKED = {"libc6", "libc-bin", "libc6-dev"}

DOWNLOAD_TIMEOUT_S = 60


class Apt:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
            raise Broken(
                "The services for tests are Debian packages, and this machine has no "
                "apt-get: run the tests on Debian or Ubuntu, or in a container of it."
            )
        for name in ("lists/partial", "archives/partial", "debs"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._options = [
            f"-oDir::State={folder}",
            f"-oDir::State::lists={folder}/lists",
            f"-oDir::Cache={folder}",
            "-oDir::State::status=/var/lib/dpkg/status",
            "-oAcquire::Retries=3",
            "-oAcquire::Languages=none",
            # As root, apt would read the folder as its own `_apt` user.
            "-oAPT::Sandbox::User=root",
        ]

    def update(self) -> None:
        """Read the package lists; a source that does not answer is passed over."""
        step("reading Debian's package lists", "apt-get", *self._options, "update")

    def unpack(self, what: str, names: Iterable[str], tree: Path) -> None:
        """Unpack packages into `tree`, with the libraries that the machine lacks."""
        names = list(names)
        plan = step(
            f"{what}: looking up",
            *("apt-get", *self._options, "install", "--simulate"),
            *("--no-install-recommends", *names),
        )
        missing = re.findall(r"^Inst (\S+)", plan, re.MULTILINE)
        self.unpack_alone(what, [*names, *missing], tree)

    def unpack_alone(self, what: str, names: Iterable[str], tree: Path) -> None:
        """Unpack exactly these packages, as for headers."""
        wanted = sorted(set(names) - NEVER_UNPACKED)
        debs = self.folder / "debs"
        shutil.rmtree(debs)
        debs.mkdir()
        step(
            f"{what}: downloading {len(wanted)} packages",
            *("apt-get", *self._options, "download", *wanted),
            cwd=debs,
        )
        files = sorted(debs.glob("*.deb"))
        size = sum(file.stat().st_size for file in files) / 1e6
        unpack = 'tree=$1; shift; for deb; do dpkg -x "$deb" "$tree" || exit; done'
        step(f"{what}: unpacking {size:.0f} MB", "sh", "-c", unpack, "sh", tree, *files)
        shutil.rmtree(debs)
        debs.mkdir()

    def first_known(self, names: Iterable[str]) -> str:
        """Return the first of some packages that the machine's sources offer."""
        asked = list(names)
        for name in asked:
            found = step(
                f"looking for {name}", "apt-cache", *self._options, "policy", name
            )
            if re.search(r"Candidate: \d", found):
                return name
        raise Broken(f"apt's sources offer none of {', '.join(asked)}.")

    def pooled(self, path: str, digest: str, target: Path) -> None:
        """Fetch a file of the mirror's pool that no package list here names."""
        mirrors = step(
            "finding the mirror",
            *("apt-get", *self._options, "indextargets"),
            *("--format", "$(REPO_URI)", "Created-By: Packages"),
        )
        for mirror in dict.fromkeys(mirrors.split()):
            try:
                with urllib.request.urlopen(
                    f"{mirror.rstrip('/')}/{path}", timeout=DOWNLOAD_TIMEOUT_S
                ) as answer:
                    content = answer.read()
            except (urllib.error.URLError, ValueError):
                continue
            if sha256(content).hexdigest() == digest:
                target.write_bytes(content)
                return
        raise Broken(f"No mirror that apt knows has {path} with the pinned digest.")


def libraries(tree: Path) -> list[Path]:
    """Return the tree's folders of shared libraries."""
    roots = [*tree.glob("usr/lib/*-linux-gnu*"), *tree.glob("lib/*-linux-gnu*")]
    # Some packages keep private libraries one folder deeper (pulseaudio does).
    inner = [folder for root in roots for folder in root.iterdir() if folder.is_dir()]
    return [folder for folder in [*roots, *inner] if any(folder.glob("*.so*"))]


def environment(tree: Path) -> dict[str, str]:
    """Return an environment in which programs find the tree's own libraries."""
    inherited = os.environ.get("LD_LIBRARY_PATH")
    path = [*map(str, libraries(tree)), *([inherited] if inherited else [])]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(path)} if path else {**os.environ}
