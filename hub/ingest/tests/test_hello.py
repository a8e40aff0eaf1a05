from __future__ import annotations

import pytest
from sysmonstm_proto import metrics_pb2 as pb

from hub.ingest.hello import BadHello, arrival
from hub.ingest.tests.wire import EPOCH

NOW_MS = 1_700_000_000_000


def hello(**fields: object) -> pb.Hello:
    return pb.Hello(**{"spool_epoch": EPOCH, **fields})  # type: ignore[arg-type]


def test_an_arrival_keeps_what_is_said() -> None:
    said = hello(
        os="Debian 12", kernel="6.1", architecture="x86_64", agent_version="1.0"
    )
    said.boot_time_unix_ms = NOW_MS - 1000
    said.interval_ms = 500

    kept = arrival(said, "web-1", now_ms=NOW_MS)

    assert kept.machine_id == "web-1"
    assert (kept.os, kept.kernel, kept.architecture) == ("Debian 12", "6.1", "x86_64")
    assert kept.agent_version == "1.0"
    assert kept.boot_time_ms == NOW_MS - 1000
    assert kept.interval_s == 0.5


@pytest.mark.parametrize("epoch", [b"", b"short", bytes(17)])
def test_a_spool_epoch_has_sixteen_bytes(epoch: bytes) -> None:
    with pytest.raises(BadHello, match="16 bytes"):
        arrival(hello(spool_epoch=epoch), "web-1", now_ms=NOW_MS)


def test_a_machine_without_a_name_is_refused() -> None:
    with pytest.raises(BadHello, match="empty"):
        arrival(hello(), "", now_ms=NOW_MS)


def test_senseless_numbers_become_unknown_or_fit() -> None:
    future = hello(boot_time_unix_ms=2**63 - 1, interval_ms=2**32 - 1)
    past = hello(boot_time_unix_ms=-(2**63), interval_ms=0)

    assert arrival(future, "m", now_ms=NOW_MS).boot_time_ms == 0
    assert arrival(future, "m", now_ms=NOW_MS).interval_s == 86_400
    assert arrival(past, "m", now_ms=NOW_MS).boot_time_ms == 0
    assert arrival(past, "m", now_ms=NOW_MS).interval_s == 5


def test_long_and_hostile_descriptions_are_made_to_fit() -> None:
    kept = arrival(hello(os="\x00" * 10_000), "m", now_ms=NOW_MS)

    assert kept.os.startswith("\\x00\\x00")
    assert len(kept.os) == 128
