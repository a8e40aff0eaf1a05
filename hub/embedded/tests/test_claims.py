from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hub.embedded import claims
from hub.embedded.claims import Refused

HOLDER = """
import sys
from pathlib import Path
from hub.embedded import claims
with claims.folder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_held_by_one_hub_at_a_time(tmp_path: Path) -> None:
    with (
        claims.folder(tmp_path),
        pytest.raises(Refused, match=rf"DATA_DIR: .*{os.getpid()}"),
        claims.folder(tmp_path),
    ):
        pass


def test_a_folder_is_free_again_when_its_hub_has_ended(tmp_path: Path) -> None:
    with claims.folder(tmp_path):
        pass

    with claims.folder(tmp_path):
        pass


def test_a_hub_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(Refused, match=str(holder.pid)),
            claims.folder(tmp_path),
        ):
            pass
        holder.kill()

    with claims.folder(tmp_path):
        pass


def test_a_port_in_use_is_named_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        number = busy.getsockname()[1]

        with pytest.raises(Refused, match=rf"HTTP_PORT: port {number} .*in use"):
            claims.port("HTTP_PORT", "127.0.0.1", number)


def test_a_port_that_was_just_left_may_be_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", number)):
            # Closing first leaves this end of the connection in TIME_WAIT.
            server.accept()[0].close()

    claims.port("HTTP_PORT", "127.0.0.1", number)


def test_an_address_of_another_machine_is_named_with_its_setting() -> None:
    # 192.0.2.0/24 is set aside for examples: nobody has it.
    with pytest.raises(Refused, match=r"GRPC_HOST: 192\.0\.2\.1 is not"):
        claims.port("GRPC_PORT", "192.0.2.1", 0)


def test_a_host_that_is_no_address_is_refused() -> None:
    with pytest.raises(Refused, match="HTTP_HOST: not an address is no address"):
        claims.port("HTTP_PORT", "not an address", 0)


def test_two_servers_want_two_ports() -> None:
    with pytest.raises(Refused, match="both 8000"):
        claims.ports_differ(8000, 8000)

    claims.ports_differ(8000, 50051)
    claims.ports_differ(0, 0)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with (
        pytest.raises(Refused, match="DATA_DIR: cannot write"),
        claims.folder(tmp_path / "file" / "var"),
    ):
        pass


@pytest.mark.parametrize(
    ("host", "from_here"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("[::]", "::1"),
        ("192.0.2.1", "192.0.2.1"),
    ],
)
def test_a_server_is_reached_where_it_listens(host: str, from_here: str) -> None:
    assert claims.reachable(host) == from_here
