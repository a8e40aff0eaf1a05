"""Who may know whom: imports go downward only, and siblings meet through events."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hub.tests.imports import ROOT, Import, imports_of, modules

# A package may import those of lower rows. Packages of one row never import each
# other, but for the last, which puts the whole together.
LEVELS: tuple[tuple[str, ...], ...] = (
    ("hub.env", "hub.log", "hub.checks", "hub.metrics"),
    ("hub.events",),
    ("hub.people",),
    ("hub.machines",),
    ("hub.storage",),
    ("hub.ingest", "hub.control", "hub.alerts", "hub.live"),
    # Pages, JSON and commands say how the hub is.
    ("hub.health",),
    ("hub.rpc", "hub.web", "hub.api"),
    (
        "hub.embedded",
        "hub.asgi",
        "hub.urls",
        "hub.settings",
        "hub.celery",
        "hub.apps",
    ),
)
LEVEL = {name: level for level, row in enumerate(LEVELS) for name in row}

# The relay far away draws the same frames, and nothing else of the hub.
EDGE_MAY = ("hub.edge", "hub.live.frames", "hub.env", "hub.log")

# What an agent's machine has; the rest of the world stays out of it.
AGENT_MAY = {"sysmonstm_agent", "sysmonstm_proto", "grpc", "google", "psutil"} | {
    # For mutual TLS, where it was asked for.
    "cryptography",
    # For NVIDIA's GPUs, where it was asked for.
    "pynvml",
}
PROTO_MAY = {"sysmonstm_proto", "grpc", "google"}

# Modules that other programs import without a database: relay, agents' tools.
WITHOUT_ORM = ("hub.live.frames", "hub.storage.sample")


def package(module: str) -> str:
    return ".".join(module.split(".")[:2])


def is_free(module: str) -> bool:
    """Tests and migrations may reach sideways."""
    return bool({"tests", "migrations", "conftest"} & set(module.split(".")))


def fault(arrow: Import) -> str | None:
    """Say what is wrong with one import, if anything is."""
    importer, imported = package(arrow.importer), package(arrow.imported)
    if imported.partition(".")[0] != "hub" or importer == imported:
        return None
    said = f"{arrow.importer} ({arrow.place}) imports {arrow.imported}"
    if importer == "hub.edge":
        return None if arrow.imported.startswith(EDGE_MAY) else f"{said}: not its own"
    if imported == "hub.testing":
        return f"{said}: only tests may"
    if importer not in LEVEL or imported not in LEVEL:
        return f"{said}: not in the table"
    if LEVEL[importer] == LEVEL[imported] < len(LEVELS) - 1:
        return f"{said}: siblings meet through events"
    return f"{said}: upward" if LEVEL[importer] < LEVEL[imported] else None


def arrows(*folders: str) -> list[Import]:
    return [
        arrow
        for name, path in modules(*folders)
        for arrow in imports_of(name, path)
        if not is_free(name)
    ]


def test_the_hub_imports_downward_only() -> None:
    found = [
        arrow
        for arrow in arrows("hub")
        if package(arrow.importer) not in ("hub", "hub.testing")
    ]

    assert [said for said in map(fault, found) if said] == []
    assert len(found) > 50, "the walk found too little to mean anything"


def test_every_package_has_a_place_in_the_table() -> None:
    folders = {
        f"hub.{entry.stem}"
        for entry in (ROOT / "hub").iterdir()
        if (entry.suffix == ".py" or (entry / "__init__.py").is_file())
        and entry.stem not in ("__init__", "conftest", "tests", "testing", "edge")
    }

    assert folders - LEVEL.keys() == set()


def test_the_testing_package_needs_settings_only() -> None:
    known = {
        package(arrow.imported)
        for arrow in arrows("hub/testing")
        if arrow.imported.startswith("hub.")
    }

    assert known <= {"hub.testing", "hub.env"}


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [
        ("agent/sysmonstm_agent", AGENT_MAY),
        ("proto/sysmonstm_proto", PROTO_MAY),
    ],
)
def test_what_runs_on_other_machines_needs_little(
    folder: str, allowed: set[str]
) -> None:
    tops = {arrow.imported.partition(".")[0] for arrow in arrows(folder)}

    assert tops - allowed - sys.stdlib_module_names == set()
    assert tops & allowed


def test_the_hub_never_imports_the_agent() -> None:
    # The oracle's agent is one, in a process of its own.
    assert [
        arrow
        for arrow in arrows("hub")
        if arrow.imported.startswith("sysmonstm_agent")
        and arrow.importer != "hub.testing.oracle.agent"
    ] == []


@pytest.mark.parametrize("module", WITHOUT_ORM)
def test_a_pure_module_loads_no_orm(module: str) -> None:
    program = f"import {module}, sys; print('django.db.models' in sys.modules)"

    said = subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, text=True)

    assert said == "False\n"


@pytest.mark.parametrize(
    ("importer", "source", "wrong"),
    [
        ("hub.storage.raw", "from hub.machines.models import Machine", False),
        ("hub.storage.raw", "from hub import events", False),
        ("hub.storage.raw", "from hub.storage import hot", False),
        ("hub.storage.raw", "import numpy", False),
        ("hub.machines.models", "from hub.storage import raw", True),
        ("hub.live.feed", "from hub.ingest import writer", True),
        ("hub.live.feed", "def late():\n    import hub.ingest.writer", True),
        ("hub.events.bus", "from hub.people import tokens", True),
        ("hub.log", "from hub import env", True),
        ("hub.web.views", "from hub.testing import services", True),
        ("hub.web.views", "from hub.settings import ENV", True),
        ("hub.edge.serve", "from hub.live.frames import snapshot", False),
        ("hub.edge.serve", "from hub.live import feed", True),
        ("hub.urls", "from hub.asgi import application", False),
        ("hub.web.views", "from hub.drawer import odds", True),
    ],
)
def test_the_table_tells_right_from_wrong(
    importer: str, source: str, *, wrong: bool
) -> None:
    [arrow] = imports_of(importer, Path("made_up.py"), source)

    assert (fault(arrow) is not None) is wrong
