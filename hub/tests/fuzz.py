"""Any bytes at all, given to what reads the wire: it answers, or refuses by a type.

    python -m hub.tests.fuzz [--minutes 4]

atheris leads the bytes by coverage where it is installed (`pip install atheris`);
else Hypothesis makes them, from messages that are nearly right. What once failed is
kept in corpus/ and tried first, always.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import inspect
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import django
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from sysmonstm_proto import limits
from sysmonstm_proto import metrics_pb2 as pb

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
# Nothing is stored; models want settings to be defined at all.
django.setup()

from hub.ingest import decode, hello, text  # noqa: E402
from hub.ingest.decode import BadLayout, Known, Source  # noqa: E402
from hub.ingest.hello import BadHello  # noqa: E402
from hub.storage.sample import pack, unpack  # noqa: E402

CORPUS = Path(__file__).parent / "corpus"

NOW_MS = 1_800_000_000_000
WEEK_MS = 7 * 24 * 3600 * 1000
SOURCE = Source(1, bytes(limits.SPOOL_EPOCH_BYTES))
LAYOUTS = {1: Known(1, 8), 2: Known(2, 4)}
LAST = 10

# Examples between two looks at the clock.
ROUND = 2_000


def swallow(data: bytes) -> str:
    """Read the bytes as the hub does; return what became of them.

    Raises AssertionError, or what nobody expects, when something is wrong.
    """
    try:
        request = pb.MetricsRequest.FromString(data)
    except DecodeError:
        return "no message"
    kind = request.WhichOneof("body") or "empty"
    if kind == "hello":
        return _hello(request.hello)
    if kind == "layout":
        return _layout(request.layout)
    if kind == "samples":
        return _samples(request.samples)
    if kind == "live":
        return _samples(pb.SampleBatch(samples=[request.live]))
    return kind


def _hello(message: pb.Hello) -> str:
    try:
        arrival = hello.arrival(message, message.machine_id, now_ms=NOW_MS)
    except BadHello as bad:
        _is_one_line(str(bad))
        return "bad hello"
    assert arrival.machine_id
    assert arrival.machine_id not in (".", "..")
    assert 0 < arrival.interval_s <= hello.LONGEST_INTERVAL_S
    # Django makes a datetime of it.
    assert 0 <= arrival.boot_time_ms <= NOW_MS + hello.DAY_MS
    for name in ("machine_id", "agent_version", "os", "kernel", "architecture"):
        _is_safe(getattr(arrival, name), limit=limits.MAX_TEXT_BYTES)
    return "hello"


def _layout(message: pb.Layout) -> str:
    try:
        series = decode.layout(message)
    except BadLayout as bad:
        _is_one_line(str(bad))
        return "bad layout"
    assert len(series) == len(message.series) <= limits.MAX_SERIES
    assert len({(one.metric, one.attributes) for one in series}) == len(series)
    for one in series:
        assert one.kind in ("gauge", "counter")
        # As wide as their columns are.
        _is_safe(one.metric, limit=128)
        _is_safe(one.unit, limit=6 * limits.MAX_TEXT_BYTES)
        _is_safe(one.help, limit=512)
        assert list(one.attributes) == sorted(one.attributes)
        for key, value in one.attributes:
            _is_safe(key, limit=limits.MAX_TEXT_BYTES)
            _is_safe(value, limit=6 * limits.MAX_TEXT_BYTES)
    return "layout"


def _samples(batch: pb.SampleBatch) -> str:
    taken, refused, last = decode.samples(
        batch.samples, SOURCE, LAYOUTS, last=LAST, now_ms=NOW_MS
    )
    assert len(taken) + len(refused) == len(batch.samples)
    numbers = [incoming.sample.sequence for incoming in taken]
    assert numbers == sorted(set(numbers)), "each number once, ascending"
    assert all(LAST < number <= last <= decode.MAX_SEQUENCE for number in numbers)
    for refusal in refused:
        assert refusal.reason != pb.REFUSAL_REASON_UNSPECIFIED
        _is_one_line(refusal.detail)
    for incoming in taken:
        assert incoming.sample.machine == SOURCE.machine
        assert -WEEK_MS <= incoming.sample.time_ms - NOW_MS <= limits.MAX_AHEAD_S * 1000
        assert len(incoming.sample.values) in {
            known.size_bytes for known in LAYOUTS.values()
        }
    if taken:
        finite = [incoming.sample for incoming in decode.finite(taken)]
        assert unpack(pack(finite)) == finite
    return "samples" if taken else "refused" if refused else "empty"


def _is_one_line(said: str) -> None:
    assert said.isprintable(), repr(said)
    # A refusal must fit beside others; a log line stays a line.
    assert len(said.encode()) <= 4096, len(said)


def _is_safe(kept: str, *, limit: int) -> None:
    assert len(kept.encode()) <= limit, (len(kept.encode()), kept)
    assert not any(ord(c) < 32 or c in "\x7f\u2028\u2029\u202e" for c in kept), kept


# -- bytes that are nearly right

WORDS = st.sampled_from(
    (
        "",
        "cpu",
        "a.b",
        "\0",
        "x" * 129,
        "\u202e",
        "\n",
        "é" * 70,
        "<b>",
        "../x",
        " ",
        "\U0001f600",
    )
)
TEXT = WORDS | st.text(max_size=200)
NUMBERS = st.sampled_from((0, 1, 2, LAST, LAST + 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1))
COUNTS = NUMBERS | st.integers(0, 2**64 - 1)
TIMES = st.sampled_from(
    (
        0,
        -1,
        NOW_MS,
        NOW_MS - WEEK_MS,
        NOW_MS + 300_000,
        NOW_MS + 300_001,
        -(2**63),
        2**63 - 1,
    )
) | st.integers(-(2**63), 2**63 - 1)
FLOATS = st.lists(st.floats(width=32), max_size=3).map(
    lambda values: struct.pack(f"<{len(values)}f", *values)
)
SMALL = st.integers(0, 3) | st.integers(0, 2**32 - 1)

SAMPLES = st.builds(
    pb.Sample,
    sequence=COUNTS,
    time_unix_ms=TIMES,
    layout=SMALL,
    values=FLOATS | st.binary(max_size=20),
)
METRICS = st.builds(
    pb.Metric,
    name=TEXT,
    unit=TEXT,
    kind=st.integers(0, 3),
    help=TEXT | st.text(max_size=600),
)
SERIES = st.builds(
    pb.Series, metric=SMALL, attributes=st.dictionaries(TEXT, TEXT, max_size=4)
)
BODIES: st.SearchStrategy[pb.MetricsRequest] = st.one_of(
    st.builds(
        pb.MetricsRequest,
        hello=st.builds(
            pb.Hello,
            machine_id=TEXT,
            agent_version=TEXT,
            os=TEXT,
            kernel=TEXT,
            architecture=TEXT,
            boot_time_unix_ms=TIMES,
            spool_epoch=st.just(bytes(16)) | st.binary(max_size=20),
            clock_unix_ms=TIMES,
            interval_ms=SMALL,
            oldest_sequence=COUNTS,
        ),
    ),
    st.builds(
        pb.MetricsRequest,
        layout=st.builds(
            pb.Layout,
            id=SMALL,
            metrics=st.lists(METRICS, max_size=4),
            series=st.lists(SERIES, max_size=5),
        ),
    ),
    st.builds(
        pb.MetricsRequest,
        samples=st.builds(pb.SampleBatch, samples=st.lists(SAMPLES, max_size=6)),
    ),
    st.builds(pb.MetricsRequest, live=SAMPLES),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A message whose bytes were cut, changed or added to."""
    data = bytearray(draw(BODIES.map(pb.MetricsRequest.SerializeToString) | _KEPT))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        new = draw(st.binary(max_size=8))
        data[place : place + draw(st.integers(0, 8))] = new
    return bytes(data)


def corpus() -> list[bytes]:
    return [path.read_bytes() for path in sorted(CORPUS.glob("*.bin"))]


_KEPT = st.sampled_from(corpus() or [b""])
ANY = (
    st.binary(max_size=400)
    | BODIES.map(pb.MetricsRequest.SerializeToString)
    | damaged()
)


def fuzz(minutes: float) -> int:
    """Try until the time is over; return how many examples that were."""
    deadline_s = time.monotonic() + 60 * minutes
    tried = 0
    while time.monotonic() < deadline_s:
        number = random.randrange(2**32)

        @seed(number)
        @settings(
            max_examples=ROUND,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.target, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(ANY)
        def once(data: bytes) -> None:
            swallow(data)

        once()
        tried += ROUND
        sys.stdout.write(f"  {tried} examples, seed {number}\n")
        sys.stdout.flush()
    return tried


def led_by_coverage(seconds: int) -> int:
    """Let atheris have it, in a process of its own: it ends by leaving."""
    program = [sys.executable, "-m", "hub.tests.fuzz", "--within-atheris"]
    with tempfile.TemporaryDirectory() as found:
        return subprocess.run(
            [*program, str(seconds), found], check=False, timeout=seconds + 60
        ).returncode


def _within_atheris(seconds: str, found: str) -> None:
    atheris: Any = importlib.import_module("atheris")
    # All that is loaded would take minutes.
    for module in (decode, hello, text):
        for name, member in vars(module).items():
            if inspect.isfunction(member) and member.__module__ == module.__name__:
                setattr(module, name, atheris.instrument_func(member))
    limits_ = (f"-max_total_time={seconds}", "-max_len=4096", "-verbosity=1")
    # New finds go into the first folder; the kept ones are read from the second.
    atheris.Setup([sys.argv[0], *limits_, found, str(CORPUS)], swallow)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hub.tests.fuzz")
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--within-atheris", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.within_atheris:
        _within_atheris(*options.within_atheris)
        return 0
    for data in corpus():
        swallow(data)
    if importlib.util.find_spec("atheris"):
        return led_by_coverage(int(60 * options.minutes))
    fuzz(options.minutes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
