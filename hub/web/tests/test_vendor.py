"""What others wrote is what they published: the files are those of the manifest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FOLDERS = (HERE.parents[2] / "static" / "vendor", HERE / "vendor")


@pytest.mark.parametrize("folder", FOLDERS, ids=("static", "tests"))
def test_every_vendored_file_is_pinned_and_unchanged(folder: Path) -> None:
    entries = json.loads((folder / "manifest.json").read_text())

    assert {
        path.name for path in folder.iterdir() if path.suffix in (".js", ".css")
    } == {entry["file"] for entry in entries}
    for entry in entries:
        content = (folder / entry["file"]).read_bytes()
        assert hashlib.sha384(content).hexdigest() == entry["sha384"], entry["file"]
        assert entry["version"].count(".") == 2
        assert entry["licence"]
