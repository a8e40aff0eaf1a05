from __future__ import annotations

import os
import subprocess
import sys

import pytest
from sysmonstm_agent.service import wake_few_threads

VARIABLE = "GRPC_EXPERIMENTS"
# Its own word for what it knows; else it complains on stderr as it starts.
PROGRAM = (
    "from sysmonstm_agent.service import wake_few_threads; wake_few_threads();"
    "import grpc; grpc.insecure_channel('127.0.0.1:1').close()"
)


@pytest.mark.process
def test_the_grpc_that_is_installed_knows_what_it_is_asked() -> None:
    ended = subprocess.run(
        (sys.executable, "-c", PROGRAM),
        env={k: v for k, v in os.environ.items() if k != VARIABLE},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )

    assert ended.stderr == ""


def test_what_the_machines_owner_said_to_grpc_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, "mine")

    wake_few_threads()

    assert os.environ[VARIABLE] == "mine"
