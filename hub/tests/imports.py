"""Who imports whom, read from the source without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Import:
    importer: str
    imported: str
    place: str
    # Inside a function, or for the type checker alone: still an arrow.


def modules(*folders: str) -> Iterator[tuple[str, Path]]:
    """Yield (dotted name, file) of every module below some folders of the root.

    The name starts at the folder's last part: `agent/sysmonstm_agent` holds the
    modules of `sysmonstm_agent`.
    """
    for folder in folders:
        top = ROOT / folder
        for path in sorted(top.rglob("*.py")):
            parts = path.relative_to(top.parent).with_suffix("").parts
            yield ".".join(parts).removesuffix(".__init__"), path


def imports_of(name: str, path: Path, source: str | None = None) -> Iterator[Import]:
    """Yield each import, wherever in the module it stands.

    `from a import b` counts as `a.b`: b may be a module, and where it is a name
    the longer path belongs to the same package all the same.
    """
    tree = ast.parse(path.read_text() if source is None else source, path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for target in imported:
            yield Import(name, target, f"{path.name}:{node.lineno}")
