"""List what comes with the hub and with its agents: `python requirements/sbom.py`.

One CycloneDX file for each lock, made of the lock alone: every package with its
version, the hashes of the files that may be installed, and what wants it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

HERE = Path(__file__).resolve().parent
# Each lock, and what it is installed for.
LOCKS = {"hub": "sysmonstm", "agent": "sysmonstm-agent"}

STANZA = re.compile(r"^([\w.-]+)==(\S+).*\n((?:    .*\n)*)", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:(\w{64})")
# Another package, or the list that people write.
WANTED_BY = re.compile(r"^    #(?: via |   )(?:-r \S+/)?([\w.-]+)$", re.MULTILINE)


class Package(NamedTuple):
    name: str
    version: str
    hashes: tuple[str, ...]
    wanted_by: tuple[str, ...]


def main() -> int:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "sbom")
    folder.mkdir(parents=True, exist_ok=True)
    for lock in LOCKS:
        place = folder / f"{lock}.cdx.json"
        place.write_text(bill(lock))
        print(place)  # noqa: T201 - a command's output
    return 0


def bill(lock: str) -> str:
    """Return the bill of materials of a lock, as CycloneDX 1.6 in JSON."""
    locked = list(packages((HERE / f"{lock}.txt").read_text()))
    made = {package.name: _component(package) for package in locked}
    whole = Component(
        name=LOCKS[lock], bom_ref=LOCKS[lock], type=ComponentType.APPLICATION
    )
    bom = Bom(components=made.values())
    bom.metadata.component = whole
    for package in locked:
        for name in package.wanted_by:
            other = whole if name.endswith(".in") else made[name]
            bom.register_dependency(other, [made[package.name]])
    return str(JsonV1Dot6(bom).output_as_string(indent=2)) + "\n"


def packages(text: str) -> Iterator[Package]:
    """Yield what a lock file names."""
    for name, version, rest in STANZA.findall(text):
        hashes, wanted_by = HASH.findall(rest), WANTED_BY.findall(rest)
        yield Package(name, version, tuple(hashes), tuple(wanted_by))


def _component(package: Package) -> Component:
    purl = PackageURL("pypi", name=package.name, version=package.version)
    return Component(
        name=package.name,
        version=package.version,
        purl=purl,
        bom_ref=str(purl),
        hashes=[
            HashType(alg=HashAlgorithm.SHA_256, content=one) for one in package.hashes
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
