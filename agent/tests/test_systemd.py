"""systemd's units, over a bus; and the handshake with a real one."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sysmonstm_agent import dbus
from sysmonstm_agent.collector import NoData
from sysmonstm_agent.collectors.systemd import STATES, Systemd, look, named
from sysmonstm_agent.files import Files

from tests.bus import Bus, listening
from tests.patience import PATIENCE_S
from tests.test_values import spell

# Put there by `make services`.
DAEMON = Path(__file__).parents[2] / ".services" / "dbus" / "dbus-daemon"

HOSTILE = "<script>alert(1)</script>\u202e\x1b[31m=cmd|.service"
UNITS = [
    ("ssh.service", "loaded", "active"),
    ("cron.service", "loaded", "active"),
    ("backup.service", "loaded", "failed"),
    ("gone.service", "not-found", "inactive"),
    (HOSTILE, "loaded", "failed"),
]


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "bus"


@pytest.fixture
def bus(path: Path) -> Iterator[Bus]:
    with listening(path, UNITS) as made:
        yield made


def readings(collector: Systemd, now_s: float = 100.0) -> dict[str, float]:
    return {spell(reading): reading.value for reading in collector.collect(now_s)}


def test_units_are_counted_and_the_failed_named(path: Path, bus: Bus) -> None:
    assert readings(Systemd(Files(), str(path))) == {
        "sysmonstm.agent.collector.age{systemd}": 0,
        "systemd.unit.count{active}": 2,
        "systemd.unit.count{reloading}": 0,
        "systemd.unit.count{inactive}": 1,
        "systemd.unit.count{failed}": 2,
        "systemd.unit.count{activating}": 0,
        "systemd.unit.count{deactivating}": 0,
        "systemd.unit.failed{backup.service}": 1,
        f"systemd.unit.failed{{{HOSTILE}}}": 1,
    }


@pytest.mark.parametrize("piece", [1000, 1 << 20])
def test_a_real_systemd_is_understood(path: Path, bus: Bus, piece: int) -> None:
    bus.piece = piece
    bus.replay("systemd-252")

    assert readings(Systemd(Files(), str(path))) == {
        "sysmonstm.agent.collector.age{systemd}": 0,
        # As `systemctl list-units --all` counted them there.
        "systemd.unit.count{active}": 47,
        "systemd.unit.count{reloading}": 0,
        "systemd.unit.count{inactive}": 80,
        "systemd.unit.count{failed}": 1,
        "systemd.unit.count{activating}": 1,
        "systemd.unit.count{deactivating}": 0,
        "systemd.unit.failed{backup.service}": 1,
    }


def test_a_real_systemd_that_has_not_joined_its_bus_yet_has_no_units(
    path: Path, bus: Bus
) -> None:
    bus.replay("absent")

    with pytest.raises(NoData, match="no systemd on the bus"):
        look(str(path))


def test_one_question_is_asked_and_nothing_is_started_for_it(
    path: Path, bus: Bus
) -> None:
    look(str(path))

    hello, question = bus.asked
    assert b"Hello" in hello
    assert b"ListUnits" in question
    assert question[2] & dbus.NO_AUTO_START
    uid = str(os.getuid()).encode().hex()
    assert bus.greeting == [f"\0AUTH EXTERNAL {uid}\r\n".encode()]


def test_a_unit_that_is_well_again_says_so(path: Path, bus: Bus) -> None:
    collector = Systemd(Files(), str(path), every_s=5)
    readings(collector)
    bus.units[2] = ("backup.service", "loaded", "active")

    now = readings(collector, 105.0)

    assert now["systemd.unit.failed{backup.service}"] == 0
    assert now["systemd.unit.count{failed}"] == 1


def test_the_names_are_bounded_and_the_failed_come_first() -> None:
    failed = [f"f{number:02}" for number in range(15)]
    well = [f"a{number:02}" for number in range(15)]

    kept = named(failed, well)

    assert len(kept) == 20
    assert set(failed) <= set(kept)


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
@pytest.mark.parametrize("order", ["<", ">"])
def test_answers_come_in_pieces_and_in_either_order_of_bytes(
    path: Path, bus: Bus, piece: int, order: str
) -> None:
    bus.piece, bus.order = piece, order

    units = look(str(path))

    assert units.failed == [HOSTILE, "backup.service"]
    assert units.states == {**dict.fromkeys(STATES, 0), "active": 2} | {
        "inactive": 1,
        "failed": 2,
    }


def test_a_bus_without_systemd_has_no_units(path: Path, bus: Bus) -> None:
    bus.error = "org.freedesktop.DBus.Error.ServiceUnknown"

    with pytest.raises(NoData):
        look(str(path))


def test_a_refusal_is_a_failure_with_its_name(path: Path, bus: Bus) -> None:
    bus.error = "org.freedesktop.DBus.Error.AccessDenied"

    with pytest.raises(dbus.BusFailed, match="AccessDenied"):
        look(str(path))


def test_a_bus_that_does_not_let_one_in_is_a_failure(path: Path, bus: Bus) -> None:
    bus.admits = False

    with pytest.raises(dbus.BusFailed, match="does not let user"):
        look(str(path))


def test_a_bus_that_says_nothing_is_not_waited_for(path: Path, bus: Bus) -> None:
    bus.silent = True
    began_s = time.monotonic()

    with pytest.raises((dbus.BusFailed, TimeoutError)):
        dbus.Bus(str(path), within_s=0.2)

    assert time.monotonic() - began_s < PATIENCE_S / 4


def test_no_bus_no_units(path: Path) -> None:
    with pytest.raises(NoData, match="no system bus"):
        readings(Systemd(Files(), str(path)))


@pytest.mark.parametrize(
    ("signature", "data"),
    [
        ("s", b"\xff\xff\xff\x7f"),
        ("as", b"\x00\x10\x00\x00abc"),
        ("a()", b"\x08\x00\x00\x00" + bytes(12)),
        ("(s", bytes(8)),
        ("?", bytes(8)),
        ("u", b"\x01"),
    ],
)
def test_a_garbled_message_is_a_failure_and_no_more(
    signature: str, data: bytes
) -> None:
    with pytest.raises(dbus.BusFailed):
        dbus.Reader(data, 0, "<").values(signature)


@pytest.mark.process
def test_a_real_bus_answers(path: Path, tmp_path: Path) -> None:
    settings = tmp_path / "bus.conf"
    settings.write_text(
        f"<busconfig><type>session</type><listen>unix:path={path}</listen>"
        '<policy context="default"><allow send_destination="*"/>'
        '<allow receive_sender="*"/><allow own="*"/>'
        "</policy></busconfig>"
    )
    daemon = subprocess.Popen(
        (
            *(str(DAEMON), f"--config-file={settings}"),
            *("--nofork", "--nopidfile", "--print-address"),
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert daemon.stdout is not None
    try:
        daemon.stdout.readline()  # Says its address once it listens.
        names = dbus.HELLO._replace(member="ListNames")
        bus = dbus.Bus(str(path), within_s=PATIENCE_S)
        (answer,) = bus.call(names)
        bus.close()

        assert answer == ["org.freedesktop.DBus", ":1.0"]
        # There is no systemd on it, and none was started.
        with pytest.raises(NoData):
            look(str(path))
    finally:
        daemon.terminate()
        daemon.wait(PATIENCE_S)
        daemon.stdout.close()
