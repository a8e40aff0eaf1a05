"""Wheels of our own two distributions, made from their sources in memory.

A wheel of plain Python is a zip archive with four small texts. Made here, it needs
neither network nor setuptools nor a folder to write to, and the same sources give
the same bytes in every process: its hash can stand in a command that was shown by
another one.
"""

from __future__ import annotations

import base64
import hashlib
import io
import tomllib
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUFFIXES = {".py", ".pyi", ".typed"}
TAG = "py3-none-any"
# The first moment that a zip archive can name.
EPOCH = (1980, 1, 1, 0, 0, 0)
READABLE = 0o644 << 16


@dataclass(frozen=True, slots=True)
class Wheel:
    filename: str
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def build(project: Path) -> Wheel:
    """Make the wheel of the project in a folder with a pyproject.toml."""
    described = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    package = str(described["name"]).replace("-", "_")
    files = {
        path.relative_to(project).as_posix(): path.read_bytes()
        for path in sorted((project / package).rglob("*"))
        if path.suffix in SUFFIXES
    }
    whole = f"{package}-{described['version']}"
    for name, text in _metadata(described).items():
        files[f"{whole}.dist-info/{name}"] = text.encode()
    return archive(whole, TAG, files)


def archive(name: str, tag: str, files: Mapping[str, bytes]) -> Wheel:
    """Pack the files of `name` (with its version), and a record of them."""
    record = f"{name}.dist-info/RECORD"
    lines = [*map(_recorded, files.items()), f"{record},,\n"]
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as packed:
        for path, content in (*files.items(), (record, "".join(lines).encode())):
            entry = zipfile.ZipInfo(path, EPOCH)
            entry.external_attr = READABLE
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, content)
    return Wheel(f"{name}-{tag}.whl", made.getvalue())


def _recorded(file: tuple[str, bytes]) -> str:
    path, content = file
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return f"{path},sha256={digest.decode().rstrip('=')},{len(content)}\n"


def _metadata(described: Mapping[str, Any]) -> dict[str, str]:
    scripts = described.get("scripts", {})
    texts = {
        "METADATA": "\n".join(_headers(described)) + "\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: sysmonstm\n"
        f"Root-Is-Purelib: true\nTag: {TAG}\n",
    }
    if scripts:
        lines = [f"{name} = {target}" for name, target in scripts.items()]
        texts["entry_points.txt"] = "\n".join(["[console_scripts]", *lines, ""])
    return texts


def _headers(described: Mapping[str, Any]) -> Iterable[str]:
    yield "Metadata-Version: 2.4"
    yield f"Name: {described['name']}"
    yield f"Version: {described['version']}"
    yield f"Summary: {described['description']}"
    yield f"License-Expression: {described['license']}"
    yield f"Requires-Python: {described['requires-python']}"
    for needed in described["dependencies"]:
        yield f"Requires-Dist: {needed}"
    for extra, wanted in described.get("optional-dependencies", {}).items():
        yield f"Provides-Extra: {extra}"
        for needed in wanted:
            package, _, marker = needed.partition(";")
            both = f"({marker.strip()}) and " if marker else ""
            yield f'Requires-Dist: {package.strip()}; {both}extra == "{extra}"'
