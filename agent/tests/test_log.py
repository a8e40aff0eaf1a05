from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
from sysmonstm_agent.log import configure, log


@pytest.fixture(autouse=True)
def _root_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    # Taken off first: configuring closes the handlers that it finds.
    root.handlers = []
    yield
    root.handlers, root.level = handlers, level


def test_json_has_the_event_and_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure(level="info", style="json", machine="web-1")

    log.warning("spool.full", samples=12)

    entry = json.loads(capsys.readouterr().err)
    assert entry.pop("timestamp").endswith("+00:00")
    assert entry == {
        "level": "warning",
        "event": "spool.full",
        "machine": "web-1",
        "samples": 12,
    }


def test_a_traceback_is_one_field_of_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(level="info", style="json")

    try:
        raise ValueError("two\nlines")
    except ValueError:
        log.exception("collector.failed", collector="cpu")

    (line,) = capsys.readouterr().err.splitlines()
    assert "ValueError: two\nlines" in json.loads(line)["exception"]


def test_what_libraries_log_comes_out_in_the_same_form(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(level="info", style="json")

    logging.getLogger("grpc").error("it %s", "broke")

    entry = json.loads(capsys.readouterr().err)
    assert (entry["event"], entry["logger"]) == ("it broke", "grpc")


def test_console_is_a_line_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure(level="debug", style="console", machine="web-1")

    log.debug("layout.new", series=72)

    line = capsys.readouterr().err
    assert line.endswith("debug   layout.new machine=web-1 series=72\n")


def test_what_is_below_the_level_is_not_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(level="warning", style="json")

    log.info("hub.connected")

    assert capsys.readouterr().err == ""
