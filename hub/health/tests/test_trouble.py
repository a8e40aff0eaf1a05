from __future__ import annotations

import time

from hub.health.probe import Finding, State
from hub.health.report import Judgement
from hub.health.stages import Late, Status
from hub.health.trouble import of_dependencies, of_lateness

WELL = Finding(State.OK, "It answers.", 1.0)
AWAY = Finding(State.DOWN, "Refused (OSError).", 1.0, 1_700_000_000_000)
LATER = Finding(State.DOWN, "Refused (OSError).", 1.0, 1_700_000_060_000)


def test_all_well_is_no_trouble() -> None:
    assert of_dependencies({"database": WELL, "hot": WELL, "bus": WELL}) is None
    assert of_lateness(Judgement(None, None, "")) is None


def test_a_database_that_is_away_is_the_worst() -> None:
    found = of_dependencies({"database": LATER, "hot": AWAY, "bus": AWAY})

    assert found
    assert (found.what, found.since_ms) == ("Database away", 1_700_000_060_000)
    assert found.is_essential
    assert "agents keep their samples" in found.meaning


def test_redis_is_one_trouble_however_many_things_lean_on_it() -> None:
    found = of_dependencies({"database": WELL, "hot": LATER, "bus": AWAY})

    assert found
    assert (found.what, found.since_ms) == ("Live updates pause", 1_700_000_000_000)
    assert not found.is_essential
    assert "Redis is away" in found.meaning


def test_a_late_hub_is_told_in_its_own_words() -> None:
    status = Status(time.time_ns() // 1_000_000, {}, None, 1_700_000_000_000)

    found = of_lateness(Judgement(status, Late.STORING, "The hub is late: ..."))

    assert found
    assert (found.what, found.since_ms) == ("The hub is late: ...", 1_700_000_000_000)
