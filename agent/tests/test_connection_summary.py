from __future__ import annotations

from pathlib import Path

import pytest
from sysmonstm_agent.connection_summary import TooMany, summary
from sysmonstm_agent.files import Files

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n"


def line(number: int, state: str) -> str:
    return (
        f"{number:4}: 0100007F:1F90 0200007F:D431 {state} 00000000:00000000"
        " 00:00000000 00000000  1000        0 12345 1 0000000000000000 20 4 30 10 -1\n"
    )


def proc(root: Path, **tables: str) -> Files:
    (root / "net").mkdir()
    for name, states in tables.items():
        lines = (line(n, state) for n, state in enumerate(states.split()))
        (root / "net" / name).write_text(HEADER + "".join(lines))
    return Files(str(root), linux=True)


def test_sockets_are_counted_by_protocol_and_state(tmp_path: Path) -> None:
    files = proc(tmp_path, tcp="01 0A 01 06 FF", tcp6="0C", udp="07 01")

    found = summary(files, 1.0, clock=lambda: 0.0)

    assert [(c.protocol, c.state, c.count) for c in found.counts] == [
        ("tcp", "ESTABLISHED", 2),
        ("tcp", "TIME_WAIT", 1),
        ("tcp", "LISTEN", 1),
        ("tcp", "FF", 1),
        ("tcp6", "NEW_SYN_RECV", 1),
        ("udp", "", 2),
    ]


def test_no_address_is_told(tmp_path: Path) -> None:
    files = proc(tmp_path, tcp="01")

    found = summary(files, 1.0, clock=lambda: 0.0).SerializeToString()

    assert b"7F" not in found
    assert b"127" not in found


def test_it_stops_when_its_time_is_over(tmp_path: Path) -> None:
    files = proc(tmp_path, tcp="01 " * 2_000)
    moments = iter([0.0, 0.5, 1.5])

    with pytest.raises(TooMany):
        summary(files, 1.0, clock=lambda: next(moments))


def test_a_table_that_is_garbled_fails_and_is_no_endless_loop(tmp_path: Path) -> None:
    files = proc(tmp_path, tcp="zz")

    with pytest.raises(ValueError, match="invalid literal"):
        summary(files, 1.0, clock=lambda: 0.0)
