"""The generated code is what `metrics.proto` says today."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROTO = Path(__file__).parents[2] / "proto"
GENERATED = (
    "metrics_pb2.py",
    "metrics_pb2.pyi",
    "metrics_pb2_grpc.py",
    "metrics_pb2_grpc.pyi",
)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wire")
    argv = [sys.executable, str(PROTO / "generate.py"), str(out)]
    subprocess.run(argv, check=True, timeout=300)
    return out / "sysmonstm_proto"


@pytest.mark.parametrize("name", GENERATED)
def test_committed_code_is_what_the_contract_generates(fresh: Path, name: str) -> None:
    committed = (PROTO / "sysmonstm_proto" / name).read_text()

    assert committed == (fresh / name).read_text(), "run `make proto`"


def test_no_other_file_is_generated(fresh: Path) -> None:
    assert sorted(path.name for path in fresh.iterdir()) == sorted(GENERATED)
