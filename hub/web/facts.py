"""What the pages' scripts must know to judge as the hub does."""

from __future__ import annotations

from typing import Any

from hub.machines import presence
from hub.web import rows
from hub.web.alarms import Alarms
from hub.web.levels import LASTING, LEVELS


def facts(alarms: Alarms) -> dict[str, Any]:
    return {
        "alerts": alarms.script(),
        "levels": LEVELS,
        "lasting": LASTING,
        "states": rows.STATES,
        "words": rows.WORDS,
        "needs": rows.NEEDS,
        "presence": {
            "onlineIntervals": presence.ONLINE_INTERVALS,
            "onlineFloorS": presence.ONLINE_FLOOR_S,
            "staleIntervals": presence.STALE_INTERVALS,
            "staleFloorS": presence.STALE_FLOOR_S,
        },
    }
