"""Fill the bundle that machines without a package index install from."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from hub.web.install import repack, requirements, stock

# What pip calls the systems that wheels are made for, newest first.
GLIBC = ("manylinux_2_28", "manylinux_2_17", "manylinux2014", "manylinux_2_12")
OLD_GLIBC = ("manylinux2010", "manylinux_2_5", "manylinux1")
MUSL = ("musllinux_1_2", "musllinux_1_1")
SYSTEMS = {
    f"{name}-{processor}": tuple(f"{tag}_{processor}" for tag in tags)
    for name, tags in (("linux", (*GLIBC, *OLD_GLIBC)), ("alpine", MUSL))
    for processor in ("x86_64", "aarch64")
}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
DOWNLOAD_S = 600


class Command(BaseCommand):
    help = "Keep what agents need, so that machines install without a package index."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--platform",
            nargs="+",
            choices=SYSTEMS,
            default=["linux-x86_64"],
            help="Systems of the machines (linux-x86_64).",
        )
        parser.add_argument(
            "--python",
            nargs="+",
            default=["3.11"],
            choices=PYTHONS,
            help="Their versions of Python (3.11; Debian 12 has that).",
        )
        parser.add_argument(
            "--installed",
            action="store_true",
            help="Instead: pack what is installed here, for machines like this one, "
            "without any network.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        folder = stock.bundle_folder()
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        if options["installed"]:
            self._pack(folder)
        else:
            for system in options["platform"]:
                for python in options["python"]:
                    self._download(folder, system, python)
        for one in stock.bundle():
            self.stdout.write(f"{one.sha256}  {one.path.name}")
        if not requirements.is_bundled():
            raise CommandError("The bundle lacks a part of what an agent needs.")
        self.stdout.write(f"Machines now install from {folder}, through this hub.")

    def _pack(self, folder: Path) -> None:
        for requirement in requirements.wanted():
            name, _, version = requirement.partition("==")
            try:
                made = repack.repack(metadata.distribution(name))
            except metadata.PackageNotFoundError:
                raise CommandError(f"{name} is not installed here.") from None
            if f"-{version}-" not in made.filename:
                raise CommandError(
                    f"{requirement} is wanted, and {made.filename} is installed here."
                )
            (folder / made.filename).write_bytes(made.content)

    def _download(self, folder: Path, system: str, python: str) -> None:
        self.stdout.write(f"{system}, Python {python} …")
        platforms = [arg for tag in SYSTEMS[system] for arg in ("--platform", tag)]
        lock = settings.BASE_DIR / "requirements" / "agent.txt"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "--disable-pip-version-check"),
                *("download", "--quiet", "--no-deps", "--only-binary", ":all:"),
                *("--require-hashes", "--python-version", python, *platforms),
                *("--dest", str(folder), "-r", str(lock)),
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_S,
        )
        if done.returncode:
            raise CommandError(
                f"{system}, Python {python}: could not be fetched.\n{done.stderr}"
            )
