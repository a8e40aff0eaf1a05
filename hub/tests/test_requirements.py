"""What the code imports is what the locks install."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from hub.tests.imports import ROOT, imports_of, modules

# What is only needed where a setting asks for it has a lock of its own.
EXTRAS = ("archive",)
OURS = {"hub", "sysmonstm_agent", "sysmonstm_proto"}


def locked(which: str) -> set[str]:
    text = (ROOT / "requirements" / f"{which}.txt").read_text()
    return set(re.findall(r"^([\w.-]+)==", text, re.MULTILINE))


def extras_of_the_agent() -> set[str]:
    """Return what an agent has only where its owner asks for it."""
    project = tomllib.loads((ROOT / "agent" / "pyproject.toml").read_text())["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    wanted = (one for extra in extras.values() for one in extra)
    return {re.split(r"[<>=~\[]", one)[0] for one in wanted}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize(
    ("folder", "lock"), [("hub", "hub"), ("agent/sysmonstm_agent", "agent")]
)
def test_nothing_is_imported_that_is_not_locked(folder: str, lock: str) -> None:
    """Tests have more installed than a hub or an agent has."""
    owners = packages_distributions()
    tops = {
        arrow.imported.partition(".")[0]
        for name, path in modules(folder)
        for arrow in imports_of(name, path)
        if not {"tests", "testing", "conftest"} & set(name.split("."))
    }

    more = map(locked, EXTRAS) if lock == "hub" else [extras_of_the_agent()]
    known = locked(lock).union(*more)

    missing = {
        top
        for top in tops - OURS - sys.stdlib_module_names
        if not {plain(owner) for owner in owners.get(top, [])} & known
    }

    assert missing == set()


def test_the_locks_agree() -> None:
    def pins(which: str) -> dict[str, str]:
        text = (ROOT / "requirements" / f"{which}.txt").read_text()
        return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))

    dev = pins("dev")

    assert pins("hub").items() <= dev.items()
    assert pins("agent").items() <= dev.items()
    assert pins("archive").items() <= dev.items()


@pytest.mark.parametrize("which", ["hub", "agent", "archive", "s3", "dev"])
def test_every_locked_package_has_its_hash(which: str) -> None:
    """An index that serves another file under the same name changes nothing."""
    text = (ROOT / "requirements" / f"{which}.txt").read_text()
    whole = re.sub(r"\\\n\s*", " ", text)
    lines = [line for line in whole.splitlines() if line[:1] not in ("", " ", "#")]

    packages = [line for line in lines if not line.startswith("--")]
    assert [line for line in packages if "--hash=sha256:" not in line] == []
    assert [line for line in packages if "==" not in line] == []
    assert "--trusted-host" not in text
    assert packages


@pytest.mark.parametrize("lock", ["hub", "agent"])
def test_the_bill_of_materials_is_the_lock(lock: str, tmp_path: Path) -> None:
    script = ROOT / "requirements" / "sbom.py"
    subprocess.run([sys.executable, script, tmp_path], check=True, capture_output=True)
    text = (tmp_path / f"{lock}.cdx.json").read_text()
    found = json.loads(text)

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert {one["name"] for one in found["components"]} == locked(lock)
    assert all(one["hashes"] for one in found["components"])
    # Each is wanted by what is there.
    wanted = {ref for one in found["dependencies"] for ref in one.get("dependsOn", [])}
    assert wanted == {one["purl"] for one in found["components"]}
