"""A hub whose processes show and name different certificates says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from hub import metrics
from hub.health import dependencies, trust
from hub.health.background import tell
from hub.health.probe import Finding, State, Unwell
from hub.health.shelf import ShelfDown, get_shelf, set_shelf
from hub.health.trouble import of_dependencies

WELL = Finding(State.OK, "It answers.", 1.0)


@pytest.fixture
def over_tls(settings: Settings, tmp_path: Path) -> Settings:
    settings.GRPC_TLS, settings.DATA_DIR = "on", tmp_path / "web"
    return settings


def grpcserve_says(settings: Settings, **its: object) -> None:
    """Lay down what another process would, that has other settings."""
    kept = {name: getattr(settings, name) for name in its}
    for name, value in its.items():
        setattr(settings, name, value)
    tell(trust.LISTENER, lifetime_s=30)
    for name, value in kept.items():
        setattr(settings, name, value)


def test_one_folder_is_one_authority(over_tls: Settings) -> None:
    assert trust.compare() == "No grpcserve has told yet."
    grpcserve_says(over_tls)

    assert trust.compare().startswith("Agents meet the authority sha256:")


@pytest.mark.parametrize(
    ("its", "word"),
    [
        ({"DATA_DIR": "grpcserve"}, "the authority sha256:"),
        ({"GRPC_TLS": "off"}, "plain text"),
        ({"GRPC_TLS_CERT": Path("own.pem")}, "a certificate of your own"),
    ],
)
def test_another_is_said_with_the_settings_that_matter(
    over_tls: Settings, tmp_path: Path, its: dict[str, object], word: str
) -> None:
    if "DATA_DIR" in its:
        its = {"DATA_DIR": tmp_path / "grpcserve"}
    grpcserve_says(over_tls, **its)

    with pytest.raises(Unwell) as said:
        trust.compare()

    assert f"At grpcserve {metrics.Role.place} agents meet {word}" in str(said.value)
    for name in ("DATA_DIR", "GRPC_HOST", "GRPC_TLS", "GRPC_TLS_CERT"):
        assert name in str(said.value)


def test_only_who_listens_tells(over_tls: Settings) -> None:
    tell("worker", lifetime_s=30)

    assert not [name for name in get_shelf().read() if name.startswith(trust.PREFIX)]


def test_what_is_not_known_keeps_nobody_out(over_tls: Settings) -> None:
    class Away:
        def read(self) -> dict[str, bytes]:
            raise ShelfDown("away")

        def close(self) -> None: ...

    set_shelf(Away())  # type: ignore[arg-type]

    assert trust.compare() == "Not known while Redis is away."


@pytest.mark.production_only
async def test_the_hub_is_degraded_and_redis_is_not_blamed(
    over_tls: Settings, tmp_path: Path
) -> None:
    grpcserve_says(over_tls, DATA_DIR=tmp_path / "grpcserve")
    dependencies.probes.cache_clear()
    try:
        [asked] = [one for one in dependencies.probes() if one.name == "certificate"]
        found = await asked.find()
    finally:
        dependencies.probes.cache_clear()

    assert found.state == State.DOWN
    assert "must have the same DATA_DIR" in found.sentence
    assert of_dependencies({"database": WELL, asked.name: found}) is None
