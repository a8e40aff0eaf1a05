from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sysmonstm_agent.collector import NoData
from sysmonstm_agent.files import READ_BYTES, Files


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_file_that_stays_open_is_read_anew(tmp_path: Path) -> None:
    files = Files(str(tmp_path))
    (tmp_path / "loadavg").write_text("0.5 and more")
    before = files.proc("loadavg")

    (tmp_path / "loadavg").write_text("1.5")

    assert (before, files.proc("loadavg")) == ("0.5 and more", "1.5")


def test_a_long_file_is_read_whole(tmp_path: Path) -> None:
    text = "cpu 1 2 3\n" * READ_BYTES
    (tmp_path / "stat").write_text(text)

    assert Files(str(tmp_path)).proc("stat") == text


def test_what_is_not_there_yet_is_found_when_it_comes(tmp_path: Path) -> None:
    files = Files(str(tmp_path))
    with pytest.raises(NoData):
        files.proc("diskstats")

    (tmp_path / "diskstats").write_text("sda")

    assert files.proc("diskstats") == "sda"


def test_one_that_fails_while_it_is_open_is_opened_anew() -> None:
    files = Files()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as process:
        name = f"{process.pid}/stat"
        assert str(process.pid) in files.proc(name)
        process.kill()

    # The kernel says of the open file that there is no such process.
    for _ in range(3):
        with pytest.raises(NoData):
            files.proc(name)


def test_files_are_opened_once_and_closed_in_the_end() -> None:
    before = descriptors()
    files = Files()
    for _ in range(5):
        files.proc("loadavg")
        files.proc("stat")
    opened = descriptors() - before

    del files

    assert (opened, descriptors() - before) == (2, 0)
