"""What the images do on top of the code: collect files, probe, reload."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hub.testing.hubs import ROOT, environment
from hub.testing.processes import free_port, running

pytestmark = pytest.mark.process


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The files that the hub's image holds, as its .dockerignore lets them in."""
    app = tmp_path / "app"
    left_out = shutil.ignore_patterns("tests", "testing", "__pycache__")
    for name in ("hub", "static", "templates", "deploy"):
        shutil.copytree(ROOT / name, app / name, ignore=left_out)
    shutil.copy(ROOT / "manage.py", app)
    return app


def test_an_image_collects_hashed_and_compressed_files(image: Path) -> None:
    build = environment(SECRET_KEY="unused", DATA_DIR=str(image.parent / "build"))
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity=0"],
        cwd=image,
        env=build,
        check=True,
        timeout=300,
    )

    files = json.loads((image / "staticfiles" / "staticfiles.json").read_text())
    name = files["paths"]["js/live.js"]
    assert name != "js/live.js"
    assert (image / "staticfiles" / f"{name}.gz").exists()


def test_a_process_is_started_again_when_its_code_changes(image: Path) -> None:
    module = image / "hub" / "env.py"
    says = f"print('start:', len(open({str(module)!r}).read()), flush=True)"
    waits = "import time; time.sleep(60)"
    reload = (sys.executable, image / "deploy" / "reload.py")

    with running(
        *reload, sys.executable, "-c", f"{says}; {waits}", log=image / "log"
    ) as process:
        process.wait_for_line(r"start: \d+", within_s=60)
        module.write_text("")
        process.wait_for_line("start: 0", within_s=60)

        process.stop()
        assert process.family() == []


def test_a_process_that_fails_is_tried_again_at_the_next_change(image: Path) -> None:
    module = image / "hub" / "env.py"
    says = f"print('start:', len(open({str(module)!r}).read()), flush=True); 1 / 0"
    reload = (sys.executable, image / "deploy" / "reload.py")

    with running(*reload, sys.executable, "-c", says, log=image / "log") as process:
        process.wait_for_line("ZeroDivisionError", within_s=60)
        module.write_text("")
        process.wait_for_line("start: 0", within_s=60)


@pytest.mark.parametrize("kind", ["http", "grpc", "canary", "prober"])
def test_a_probe_of_what_is_not_there_fails_with_a_reason(kind: str) -> None:
    port = str(free_port())
    env = environment(
        HTTP_PORT=port, GRPC_PORT=port, REDIS_URL=f"redis://127.0.0.1:{port}"
    )

    done = subprocess.run(
        [sys.executable, ROOT / "deploy" / "probe.py", kind],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 1
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr
