"""What a line of the log says to a program."""

from __future__ import annotations

import json
import subprocess
import sys

SAID = """
import logging.config
from datetime import UTC, datetime
from hub import log
logging.config.dictConfig(log.configure(level="INFO", fmt="json"))
start = datetime(2026, 1, 2, 3, tzinfo=UTC)
log.get_logger("hub").info("hub.was_away", start=start, who=ValueError())
"""


def test_a_moment_is_written_as_other_programs_read_it() -> None:
    # In a process of its own: a process sets its log up once.
    done = subprocess.run(
        [sys.executable, "-c", SAID], capture_output=True, text=True, check=True
    )

    told = json.loads(done.stderr)

    assert told["event"] == "hub.was_away"
    assert told["start"] == "2026-01-02T03:00:00+00:00"
    assert told["who"] == "ValueError()"
