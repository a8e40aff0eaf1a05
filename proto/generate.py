"""Generate the wire's Python from `metrics.proto`: `make proto`.

`python proto/generate.py FOLDER` writes elsewhere, so that a test can compare.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROTO = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent


def main() -> int:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else PROTO
    plugins = ("protoc-gen-mypy", "protoc-gen-mypy_grpc")
    outputs = ("python", "mypy", "grpc_python", "mypy_grpc")
    argv = [
        *(sys.executable, "-m", "grpc_tools.protoc"),
        # The mapped name is the import path in what is generated.
        f"-Isysmonstm_proto={PROTO}",
        *(f"--plugin={plugin}={BIN / plugin}" for plugin in plugins),
        *(f"--{name}_out={out}" for name in outputs),
        "sysmonstm_proto/metrics.proto",
    ]
    return subprocess.run(argv, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
