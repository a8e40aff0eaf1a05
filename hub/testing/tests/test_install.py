"""An interrupted installation is repaired, and a whole one left alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hub.testing import install
from hub.testing.packages import Apt
from hub.testing.progress import Broken, step


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace what is installed by one folder with one file; list the makings."""
    made: list[str] = []

    def make(tree: Path) -> None:
        made.append("began")
        (tree / "program").write_text("whole")
        made.append("ended")

    monkeypatch.setattr(install, "SERVICES", tmp_path / ".services")
    monkeypatch.setattr(install, "RECIPES", {"service": make})
    return made


def test_a_whole_service_is_left_alone(made: list[str]) -> None:
    assert install.main() == 0
    assert install.main() == 0

    assert made == ["began", "ended"]


def test_an_interrupted_one_is_made_again(
    made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(tree: Path) -> None:
        (tree / "half").touch()
        raise KeyboardInterrupt

    whole = dict(install.RECIPES)
    monkeypatch.setattr(install, "RECIPES", {"service": interrupted})
    with pytest.raises(KeyboardInterrupt):
        install.main()
    assert not (install.SERVICES / "service").exists()
    monkeypatch.setattr(install, "RECIPES", whole)

    assert install.main() == 0

    assert {path.name for path in (install.SERVICES / "service").iterdir()} == {
        "program",
        "recipe",
    }


def test_another_recipe_makes_it_again(
    made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    install.main()
    monkeypatch.setattr(install, "_recipe", lambda: "newer")

    install.main()

    assert made == ["began", "ended"] * 2


def test_a_failure_is_loud(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    made: list[str],
) -> None:
    def broken(tree: Path) -> None:
        step("fetching", sys.executable, "-c", "raise SystemExit('disk full')")

    monkeypatch.setattr(install, "RECIPES", {"service": broken})

    assert install.main() == 1
    assert "make services: fetching: failed.\ndisk full" in capsys.readouterr().err


def test_a_slow_step_is_heard(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("hub.testing.progress.TICK_S", 0.15)

    step("waiting", sys.executable, "-c", "import time; time.sleep(1)")

    assert capsys.readouterr().out.count("waiting …") >= 2


def test_a_machine_without_apt_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(Broken, match="no apt-get"):
        Apt(tmp_path)
