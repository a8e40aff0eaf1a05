"""What docs/notifications.md tells receivers is what they get."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from hub.alerts.tests.office import Office, contact, route
from hub.alerts.webhook import headers

PAGE = (Path(__file__).resolve().parents[3] / "docs/notifications.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_tells_genuine_messages_from_others() -> None:
    program: dict[str, Any] = {}
    exec(block("python"), program)
    is_genuine = program["is_genuine"]
    body = b'{"version":1}'
    head = headers(body, secret="word", key="k")

    assert is_genuine(head, body, "word")
    assert not is_genuine(head, body + b" ", "word")
    assert not is_genuine(head, body, "words")
    old = headers(body, secret="word", key="k", clock=lambda: time.time() - 301)
    assert not is_genuine(old, body, "word")


@pytest.mark.django_db
def test_the_example_has_the_fields_of_a_real_message() -> None:
    office = Office()
    route("all", contact(), group_wait_s=0)
    office.open(metric="system.filesystem.utilization")
    [parcel] = office.run()

    real, said = json.loads(parcel.payload), json.loads(block("json"))

    assert real.keys() == said.keys()
    assert real["alerts"][0].keys() == said["alerts"][0].keys()
    for nested in ("rule", "machine"):
        assert real["alerts"][0][nested].keys() == said["alerts"][0][nested].keys()
