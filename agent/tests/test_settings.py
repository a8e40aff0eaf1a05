from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sysmonstm_agent.settings import DEFAULT, MAX_REFUSED, Settings, concerned, matcher
from sysmonstm_agent.settings import read as read_settings
from sysmonstm_proto import limits
from sysmonstm_proto import metrics_pb2 as pb

KNOWN = ("cpu", "load", "disk")


def read(**fields: object) -> tuple[Settings, list[str]]:
    return read_settings(pb.AgentConfig(**fields), KNOWN)  # type: ignore[arg-type]


def test_nothing_wanted_is_the_agents_own() -> None:
    assert read() == (DEFAULT, [])


def test_all_of_it_is_taken_and_can_be_told_again() -> None:
    message = pb.AgentConfig(
        version=9,
        interval_ms=300_000,
        collectors={"cpu": False, "disk": True},
        skip_mounts=["/mnt/*", "*backup?"],
        skip_devices=["nvme*", "cciss/c0d0"],
        skip_interfaces=["br-*"],
        processes=pb.ProcessRing(off=True, hide_arguments=True, entries=7),
        labels={"site": "Wien", "owner/team": ""},
    )

    found, refused = read_settings(message, KNOWN)

    assert refused == []
    assert found.interval_s == 300
    assert found.skip_mounts == ("/mnt/*", "*backup?")
    assert (found.ring_off, found.hide_arguments, found.ring_entries) == (True, True, 7)
    assert found.message() == message


@pytest.mark.parametrize("interval_ms", [1, 999, 300_001, 2**32 - 1])
def test_an_interval_out_of_bounds_is_refused(interval_ms: int) -> None:
    found, refused = read(interval_ms=interval_ms)

    assert found.interval_s is None
    assert refused == [
        f"The interval must be 1 to 300 s, not {interval_ms / 1000:g} s."
    ]


@pytest.mark.parametrize(
    ("field", "glob"),
    [
        ("skip_mounts", "../../etc/shadow"),
        ("skip_mounts", "/mnt/../etc"),
        ("skip_mounts", "file:///etc/passwd"),
        ("skip_mounts", "*file://etc"),
        ("skip_mounts", "mnt"),
        ("skip_mounts", "/a\nb"),
        ("skip_mounts", "/\x1b[31m"),
        ("skip_mounts", "\\\\host\\share"),
        ("skip_mounts", ""),
        ("skip_mounts", "/" + "a" * 128),
        ("skip_mounts", "/" + "ü" * 64),
        ("skip_devices", "/dev/sda"),
        ("skip_devices", "../sda"),
        ("skip_devices", "http://x"),
        ("skip_interfaces", "/sys/class/net/eth0"),
        ("skip_interfaces", "a/b"),
        ("skip_interfaces", "eth0\u202e"),
    ],
)
def test_what_is_no_glob_is_refused_and_the_rest_applied(field: str, glob: str) -> None:
    good = "/good" if field == "skip_mounts" else "good"
    found, refused = read(**{field: [glob, good]})

    assert getattr(found, field) == (good,)
    assert len(refused) == 1
    assert refused[0].isprintable()


def test_an_agent_that_measures_nothing_is_refused() -> None:
    found, refused = read(collectors=dict.fromkeys(KNOWN, False))

    assert found.collectors == {}
    assert refused == ["At least one collector has to run; all of them stay on."]
    assert read(collectors=dict.fromkeys(KNOWN[1:], False))[1] == []


def test_there_may_be_so_many_and_no_more() -> None:
    found, refused = read(
        skip_interfaces=[f"eth{n}" for n in range(limits.MAX_SKIPS + 5)],
        labels={f"l{n:03}": "" for n in range(limits.MAX_LABELS + 5)},
    )

    assert len(found.skip_interfaces) == limits.MAX_SKIPS
    assert len(found.labels) == limits.MAX_LABELS
    assert refused == [
        "Of the interfaces to skip, at most 100 count.",
        "There may be at most 64 labels.",
    ]


def test_a_report_is_bounded_and_says_what_it_leaves_out() -> None:
    _, refused = read(collectors={f"c{n}": True for n in range(100)})

    assert len(refused) == MAX_REFUSED
    assert refused[-1] == "69 more settings are refused."


@pytest.mark.parametrize(
    ("glob", "name", "matches"),
    [
        ("/mnt/*", "/mnt/a/b", True),
        ("/mnt/*", "/mn", False),
        ("eth?", "eth0", True),
        ("eth?", "eth10", False),
        # Brackets stand for themselves.
        ("/a[b]", "/a[b]", True),
        ("/a[b]", "/ab", False),
        ("/a.b", "/axb", False),
        ("*", "/x\ny", True),
    ],
)
def test_globs(glob: str, name: str, matches: bool) -> None:
    assert matcher([glob, "other"])(name) is matches


def test_no_globs_skip_nothing() -> None:
    assert not matcher([])("")


def test_no_glob_is_slow() -> None:
    skip = matcher(["*a" * 60 + "b"] * limits.MAX_SKIPS)

    began_s = time.process_time()
    assert not skip("a" * 4096)

    # A pattern that tries everything again would take years.
    assert time.process_time() - began_s < 20


def test_only_those_concerned_are_made_anew() -> None:
    now = Settings(skip_mounts=("/x",), interval_s=3)

    assert concerned(DEFAULT, now) == {"filesystem"}
    assert concerned(now, now) == set()


TEXT = (
    st.sampled_from(KNOWN)
    | st.text(max_size=200)
    | st.sampled_from(
        [
            "../x",
            "/etc/shadow",
            "file:///x",
            "$(id)",
            "`id`",
            ";reboot",
            "%s",
            "{0}",
            "*",
        ]
    )
)
CONFIGS = st.builds(
    pb.AgentConfig,
    version=st.integers(0, 2**64 - 1),
    interval_ms=st.integers(0, 2**32 - 1),
    collectors=st.dictionaries(TEXT, st.booleans(), max_size=40),
    skip_mounts=st.lists(TEXT, max_size=120),
    skip_devices=st.lists(TEXT, max_size=120),
    skip_interfaces=st.lists(TEXT, max_size=120),
    processes=st.builds(pb.ProcessRing, entries=st.integers(0, 2**32 - 1)),
    labels=st.dictionaries(TEXT, TEXT, max_size=80),
)


@settings(max_examples=150, deadline=None)
@given(CONFIGS)
def test_whatever_a_hub_sends_what_is_applied_is_within_bounds(
    message: pb.AgentConfig,
) -> None:
    found, refused = read_settings(message, KNOWN)

    assert found.interval_s is None or 1 <= found.interval_s <= 300
    assert set(found.collectors) <= set(KNOWN)
    assert any(found.collectors.get(name, True) for name in KNOWN)
    for globs in (found.skip_mounts, found.skip_devices, found.skip_interfaces):
        assert len(globs) <= limits.MAX_SKIPS
        assert all(g.isprintable() and len(g.encode()) <= 128 for g in globs)
        assert not any(".." in g.split("/") or "://" in g for g in globs)
        matcher(globs)("/some/name")
    assert len(found.labels) <= limits.MAX_LABELS
    assert 1 <= found.ring_entries <= limits.MAX_PROCESSES
    assert len(refused) <= MAX_REFUSED
    assert all(r.isprintable() and len(r) <= 200 for r in refused)
    # What was accepted is accepted again as it is.
    assert read_settings(found.message(), KNOWN) == (found, [])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_bytes_at_random_are_no_danger(raw: bytes) -> None:
    message = pb.AgentConfig()
    try:
        message.ParseFromString(raw)
    except Exception:  # noqa: BLE001 - grpc refuses what cannot be read
        return
    read_settings(message, KNOWN)
