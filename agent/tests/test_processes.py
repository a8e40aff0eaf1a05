"""Which processes were busy: looked at twice, over a /proc written down here."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sysmonstm_agent.files import Files
from sysmonstm_agent.processes.portable import PortableTable
from sysmonstm_agent.processes.snapshots import Arguments, Snapshots, Source
from sysmonstm_agent.processes.table import Table, row
from sysmonstm_agent.processes.watch import memory_bytes, source
from sysmonstm_proto import limits
from sysmonstm_proto import metrics_pb2 as pb

from tests.patience import PATIENCE_S
from tests.proc import BOOTED_S, Proc

MIB = 1024**2


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Looks:
    """Snapshots of a /proc, `passing` seconds apart."""

    def __init__(self, proc: Proc, arguments: Arguments = "masked") -> None:
        self.clock = Clock()
        self.snapshots = Snapshots(
            source(proc.files),
            arguments=arguments,
            memory_bytes=memory_bytes(proc.files),
            clock=self.clock,
            wall=lambda: 1_700_000_900.5,
        )

    def look(self, *, passing: float = 0) -> pb.ProcessSnapshot | None:
        self.clock.now_s += passing
        return self.snapshots.take()

    def next(self, *, passing: float = 2) -> dict[int, pb.ProcessEntry]:
        snapshot = self.look(passing=passing)
        assert snapshot is not None
        assert snapshot.span_ms == passing * 1000
        return {entry.pid: entry for entry in snapshot.entries}


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


def test_two_looks_tell_what_was_used_between(proc: Proc) -> None:
    proc.has(7, "stress", cpu_s=10, memory=64 * MIB, command="stress --cpu 4")
    proc.has(8, "idle", cpu_s=500, memory=MIB)
    looks = Looks(proc)
    assert looks.look() is None

    proc.has(7, "stress", cpu_s=17.8, memory=128 * MIB, command="stress --cpu 4")
    told = looks.next(passing=2)

    busy = told[7]
    assert busy.cpu == pytest.approx(3.9)
    assert (busy.name, busy.command) == ("stress", "stress --cpu 4")
    assert (busy.memory_bytes, busy.memory) == (128 * MIB, 0.125)
    assert busy.started_unix_ms == (BOOTED_S + 100) * 1000
    # Whatever it had used before is not the trouble of now.
    assert told[8].cpu == 0


def test_a_new_process_has_used_all_of_it_since(proc: Proc) -> None:
    proc.has(1)
    looks = Looks(proc)
    looks.look()

    proc.has(9, cpu_s=3, started_s=999)

    assert looks.next(passing=2)[9].cpu == 1.5


def test_a_pid_that_was_given_anew_is_another_process(proc: Proc) -> None:
    proc.has(9, "before", cpu_s=100)
    looks = Looks(proc)
    looks.look()

    proc.has(9, "after", cpu_s=2, started_s=999)

    told = looks.next(passing=2)
    assert (told[9].name, told[9].cpu) == ("after", 1)


def test_one_that_could_not_be_read_before_is_not_blamed_for_all_it_ever_did(
    proc: Proc,
) -> None:
    proc.has(1, started_s=500)
    looks = Looks(proc)
    looks.look()

    proc.has(9, cpu_s=300, started_s=100)

    assert looks.next(passing=2)[9].cpu == 0


def test_processes_come_and_go_between_listing_and_reading(proc: Proc) -> None:
    proc.has(1)
    proc.has(2)
    looks = Looks(proc)
    looks.look()

    (proc.root / "2" / "stat").unlink()
    (proc.root / "3").mkdir()

    assert set(looks.next()) == {1}


def test_the_first_ten_of_each_ranking_are_told_and_no_more(proc: Proc) -> None:
    for pid in range(1, 101):
        proc.has(pid, memory=pid * MIB, io=(0, 0))
    looks = Looks(proc)
    looks.look()
    for pid in range(1, 41):
        # The smaller the pid, the busier; of 21 to 40 the larger moves more.
        moved = (0, pid * MIB) if pid > 20 else (0, 0)
        proc.has(pid, cpu_s=(101 - pid) / 10, memory=pid * MIB, io=moved)

    told = looks.next(passing=10)

    assert set(told) == {*range(1, 11), *range(31, 41), *range(91, 101)}
    assert len(told) == limits.MAX_PROCESSES
    assert told[40].write_bytes_per_s == 40 * MIB / 10
    # The rankings take turns: a beginning of it is fair to all.
    assert list(told)[:3] == [1, 100, 40]


def test_io_that_may_not_be_read_is_absent(proc: Proc) -> None:
    proc.has(1, memory=MIB)
    proc.has(2, io=(5, 5), memory=MIB)
    looks = Looks(proc)
    looks.look()
    proc.has(1, cpu_s=1, memory=MIB)
    proc.has(2, cpu_s=1, io=(5, 25), memory=MIB)

    told = looks.next(passing=2)

    assert not told[1].HasField("read_bytes_per_s")
    assert (told[2].read_bytes_per_s, told[2].write_bytes_per_s) == (0, 10)


def test_who_waits_for_a_disk_is_looked_at_without_using_any_processor(
    proc: Proc,
) -> None:
    proc.has(2, io=(0, 0))
    looks = Looks(proc)
    looks.look()

    proc.has(2, io=(8, 0), state="D")

    assert looks.next(passing=2)[2].read_bytes_per_s == 4


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ("masked", "app --password *** -v"),
        ("none", ""),
        ("full", "app --password hunter2 -v"),
    ],
)
def test_how_much_of_a_command_line_is_told(
    proc: Proc, arguments: Arguments, command: str
) -> None:
    proc.has(1, command="app --password hunter2 -v")
    looks = Looks(proc, arguments)
    looks.look()

    assert looks.next()[1].command == command


def test_texts_are_within_the_bounds_of_the_wire(proc: Proc) -> None:
    odd = "a) b\n(\u202eü"
    proc.has(1, odd, command="ü\x1b" * 400)
    looks = Looks(proc)
    looks.look()

    entry = looks.next()[1]

    assert entry.name == "a) b\\n(\\u202eü"
    assert len(entry.command.encode()) <= limits.MAX_COMMAND_BYTES
    assert entry.command.isprintable()


def test_a_program_that_becomes_another_is_told_as_what_it_is_now(proc: Proc) -> None:
    proc.has(1, "sh", command="sh -c app")
    looks = Looks(proc)
    looks.look()
    assert looks.next()[1].name == "sh"

    proc.has(1, "app", command="app")

    entry = looks.next()[1]
    assert (entry.name, entry.command) == ("app", "app")


def test_users_of_another_machines_proc_are_its_own(proc: Proc) -> None:
    etc = proc.root / "1" / "root" / "etc"
    etc.mkdir(parents=True)
    (etc / "passwd").write_text(f"# none\nmallory:x:{os.getuid()}:0::/:/bin/sh\n")
    proc.has(1)

    assert Table(proc.files).user(1) == "mallory"
    assert Table(proc.files).user(2) == ""


def test_without_its_passwd_a_user_is_a_number(proc: Proc) -> None:
    proc.has(1)

    assert Table(proc.files).user(1) == str(os.getuid())


def test_a_name_may_hold_anything() -> None:
    line = b"12 (x) S (y)) D " + b" ".join(b"%d" % n for n in range(4, 53))

    found = row(12, line)

    assert (found.pid, found.name, found.waits) == (12, "x) S (y)", True)
    assert found.started == 22


@pytest.mark.parametrize("kind", ["kernel", "portable"])
def test_a_real_process_that_is_busy_is_among_the_first(kind: str) -> None:
    table: Source = Table(Files()) if kind == "kernel" else PortableTable()
    snapshots = Snapshots(
        table,
        arguments="masked",
        memory_bytes=memory_bytes(Files()),
        clock=time.monotonic,
        wall=time.time,
    )
    program = "import os\nwhile os.getppid() != 1: pass"
    command = [sys.executable, "-c", program, "--password", "hunter2"]
    entry = None
    with subprocess.Popen(command) as busy:
        try:
            snapshots.take()
            # Other tests may be busier for a while.
            ends_s = time.monotonic() + PATIENCE_S
            while entry is None and time.monotonic() < ends_s:
                time.sleep(1.5)
                snapshot = snapshots.take()
                found = snapshot.entries if snapshot else ()
                entry = next((one for one in found if one.pid == busy.pid), None)
        finally:
            busy.kill()

    assert entry is not None
    assert entry.cpu > 0.02
    assert "hunter2" not in entry.command
    assert entry.command.startswith(sys.executable)
    assert entry.user
    assert abs(entry.started_unix_ms - time.time() * 1000) < 60_000
