from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from hub.health import dependencies
from hub.health.dependencies import findings
from hub.health.probe import State
from hub.health.trouble import of_dependencies
from hub.storage.models import Watermark

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _an_archive(settings: Settings, tmp_path: Path) -> Iterator[None]:
    settings.ARCHIVE_URL = str(tmp_path)
    dependencies.probes.cache_clear()
    yield
    dependencies.probes.cache_clear()


async def test_an_archive_that_takes_what_expires_is_well() -> None:
    found = await findings()

    assert found["archive"].state == State.OK
    assert of_dependencies(found) is None


async def test_an_archive_that_fails_is_told() -> None:
    await Watermark.objects.acreate(tier="hour", trouble="No space left on device")

    found = await findings()

    assert found["archive"].state == State.DOWN
    told = of_dependencies(found)
    assert told is not None
    assert told.what == "Archive away"


async def test_without_an_archive_nobody_asks_for_it(settings: Settings) -> None:
    settings.ARCHIVE_URL = ""

    assert "archive" not in await findings()
