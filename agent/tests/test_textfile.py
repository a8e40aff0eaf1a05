"""The drop-in folder, and `push`, which writes there."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from pathlib import Path

import pytest
from sysmonstm_agent.__main__ import main
from sysmonstm_agent.collector import NoData
from sysmonstm_agent.collectors.textfile import Textfile
from sysmonstm_agent.layout import Layouts
from sysmonstm_proto import limits

from tests.test_values import spell

NOW_S = 1_795_163_400.0
HOSTILE = "<script>{{x}}</script>\u202e\x1b[31m\r\n=cmd|"


def textfile(folder: Path | None) -> Textfile:
    return Textfile(folder, max_age_s=3600, wall=lambda: NOW_S)


def write(folder: Path, name: str, text: str, *, age_s: float = 0) -> Path:
    path = folder / name
    path.write_text(text)
    os.utime(path, (NOW_S - age_s, NOW_S - age_s))
    return path


def readings(collector: Textfile) -> dict[str, float]:
    """Return what the files held."""
    found = {spell(r): r.value for r in collector.collect(100.0)}
    return {k: v for k, v in found.items() if not k.startswith("sysmonstm")}


def test_files_are_read_and_read_again_when_they_change(tmp_path: Path) -> None:
    collector = textfile(tmp_path)
    write(tmp_path, "backup.prom", 'backup_seconds{job="a"} 1\n')
    write(tmp_path, "other.prom", "other 5\n")
    write(tmp_path, "not-mine.txt", "hidden 1\n")
    write(tmp_path, ".backup.prom", "half_written 1\n")

    assert readings(collector) == {"backup_seconds{a}": 1, "other": 5}

    write(tmp_path, "backup.prom", 'backup_seconds{job="a"} 2.5\n', age_s=-1)
    (tmp_path / "other.prom").unlink()

    assert readings(collector) == {"backup_seconds{a}": 2.5}


def test_without_folder_and_without_files_there_is_nothing(tmp_path: Path) -> None:
    for folder in (None, tmp_path / "missing", tmp_path):
        with pytest.raises(NoData):
            readings(textfile(folder))


def test_old_and_expired_files_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, "new.prom", "new 1\n", age_s=3599)
    write(tmp_path, "old.prom", "old 1\n", age_s=3601)
    write(tmp_path, "over.prom", f"# EXPIRES {NOW_S}\nover 1\n")
    write(tmp_path, "still.prom", f"# EXPIRES {NOW_S + 1}\nstill 1\n")

    assert readings(textfile(tmp_path)) == {"new": 1, "still": 1}


def test_only_plain_small_files_are_read(tmp_path: Path) -> None:
    secret = write(tmp_path, "secret", "stolen 1\n")
    os.symlink(secret, tmp_path / "link.prom")
    os.mkfifo(tmp_path / "pipe.prom")
    (tmp_path / "folder.prom").mkdir()
    write(tmp_path, "large.prom", "large 1\n" * 40_000)
    write(tmp_path, "good.prom", "good 1\n")

    assert readings(textfile(tmp_path)) == {"good": 1}


def test_series_of_all_files_are_bounded_and_the_rest_counted(tmp_path: Path) -> None:
    for name in ("a", "b"):
        lines = "".join(f"{name}{number} 1\n" for number in range(150))
        write(tmp_path, f"{name}.prom", lines)

    found = {spell(r): r.value for r in textfile(tmp_path).collect(100.0)}

    assert found["sysmonstm.agent.textfile.series{taken}"] == 200
    assert found["sysmonstm.agent.textfile.series{left_out}"] == 100
    assert len(found) == 202


def test_one_series_of_two_files_is_taken_once(tmp_path: Path) -> None:
    write(tmp_path, "a.prom", "# UNIT x s\nx 1\n")
    write(tmp_path, "b.prom", '# UNIT x By\nx 2\nx{a="b"} 3\n')

    found = list(textfile(tmp_path).collect(100.0))[2:]

    assert [(r.metric.unit, r.value) for r in found] == [("s", 1), ("s", 3)]


def test_a_bad_line_is_named_in_the_log_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    collector = textfile(tmp_path)
    with caplog.at_level(logging.WARNING):
        for age_s in (30, 20, 10):
            write(tmp_path, "a.prom", "good 1\nbad\n", age_s=age_s)
            readings(collector)

    (record,) = caplog.records
    assert record.getMessage() == "textfile.trouble"
    assert vars(record)["fields"] == {
        "file": "a.prom",
        "trouble": "line 2 is no name with a number",
    }


def test_long_and_odd_labels_are_cut_to_the_bounds_of_the_wire(tmp_path: Path) -> None:
    write(tmp_path, "a.prom", f'x{{a="{"ä" * 500}",b="\x1b[31m\u202e"}} 1\n')

    layout, _ = Layouts().arrange([*textfile(tmp_path).collect(100.0)])

    attributes = dict(layout.series[-1].attributes)
    assert len(attributes["a"].encode()) <= limits.MAX_TEXT_BYTES
    assert "…" in attributes["a"]
    assert attributes["b"] == "\\x1b[31m\\u202e"


# -- push


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLLECTOR_STATE_DIR", str(tmp_path))
    monkeypatch.delenv("COLLECTOR_TEXTFILE_DIR", raising=False)
    return tmp_path


def pushed(state: Path) -> dict[str, float]:
    return readings(
        Textfile(state / "textfile", max_age_s=3600, wall=lambda: time.time())
    )


def test_what_is_pushed_is_collected(state: Path) -> None:
    code = main(
        [
            *("push", "backup.duration", "12.5", "--unit", "s"),
            *("--attribute", "job=nightly", "--attribute", f"who={HOSTILE}"),
            *("--about", "How long it took."),
        ]
    )

    assert code == 0
    collector = Textfile(state / "textfile", max_age_s=60, wall=time.time)
    *_, (metric, value, attributes) = collector.collect(100.0)
    assert (metric.name, metric.unit, value) == ("backup.duration", "s", 12.5)
    assert metric.help == "How long it took."
    assert attributes == {"job": "nightly", "who": HOSTILE.replace("\r\n", "\n\n")}


def test_the_newest_value_of_a_series_stands(state: Path) -> None:
    for value in ("1", "2"):
        main(["push", "x", value])
    main(["push", "x", "3", "--attribute", "a=b"])

    assert pushed(state) == {"x": 2, "x{b}": 3}
    assert [p.suffix for p in (state / "textfile").iterdir()] == [".prom", ".prom"]


def test_a_value_stands_as_long_as_it_is_said_to(state: Path) -> None:
    main(["push", "x", "1", "--ttl", "90s"])

    def later(seconds: float) -> Textfile:
        return Textfile(
            state / "textfile", max_age_s=3600, wall=lambda: time.time() + seconds
        )

    assert readings(later(80)) == {"x": 1}
    with pytest.raises(NoData):
        readings(later(95))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["../../etc/passwd", "1"], "has a name of other than"),
        (["system.cpu.utilization", "1"], "that is the agent's own"),
        (["x\n", "1"], "has a name of other than"),
        (["x", "nan"], "must be a number"),
        (["x", "1e999"], "must be a number"),
        (["x", "one"], "must be a number"),
        (["x", "1", "--unit", "a b"], "the unit must be"),
        (["x", "1", "--attribute", "novalue"], "an attribute is KEY=VALUE"),
        (["x", "1", "--attribute", "a=" + "x" * 129], "at most 128 bytes"),
        (["x", "1", "--about", "x" * 513], "longer than 512 bytes"),
        (["x", "1", "--ttl", "31d"], "the ttl must be"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    state: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    assert main(["push", *arguments]) == 2

    assert sentence in capsys.readouterr().err
    assert not (state / "textfile").exists()


def test_values_are_bounded_and_expired_ones_make_room(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = state / "textfile"
    folder.mkdir()
    for number in range(100):
        text = f"# EXPIRES {time.time() + 60}\nx{number} 1\n"
        (folder / f"push-{number}.prom").write_text(text)

    assert main(["push", "y", "1"]) == 2
    assert "100 values stand already" in capsys.readouterr().err

    (folder / "push-7.prom").write_text("# EXPIRES 1\nx 1\n")
    assert main(["push", "y", "1"]) == 0
    assert not (folder / "push-7.prom").exists()


def test_pushing_where_there_is_no_folder_is_refused(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", "x", "1", "--textfile-dir", "none"]) == 2
    assert "COLLECTOR_TEXTFILE_DIR" in capsys.readouterr().err


def test_a_pushed_value_is_part_of_a_sample(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["push", "x", "0.5", "--unit", "1"])

    assert main(["--once", "--json"]) == 0

    readings = json.loads(capsys.readouterr().out)["readings"]
    (found,) = (r for r in readings if r["metric"] == "x")
    assert (found["value"], found["unit"], found["kind"]) == (0.5, "1", "gauge")
    assert not math.isnan(found["value"])
