from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import orjson
import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from hub.alerts.models import Contact, Delivery
from hub.health import dependencies
from hub.health.agent_line import ATTRIBUTE, METRIC
from hub.health.prober import SHELF_NAME
from hub.health.shelf import MemoryShelf, get_shelf, set_shelf
from hub.health.stages import DEADLINE_S, STAGES, Status
from hub.machines.models import Machine
from hub.machines.registry import CANARY
from hub.storage import layouts, raw
from hub.storage.layouts import SeriesInfo
from hub.storage.sample import StoredSample
from hub.web.hub import path, took

# A page asks each dependency in a thread of its own.
pytestmark = pytest.mark.django_db(transaction=True)

INTERVAL_MS = 10_000
MINUTE_MS = 60_000


@pytest.fixture(autouse=True)
def _own_shelf() -> Iterator[None]:
    set_shelf(MemoryShelf())
    # What another test's probes found is not ours.
    dependencies.probes.cache_clear()
    yield
    set_shelf(None)


@pytest.fixture
def client(transactional_db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_user("ada"))
    return client


def tell(
    commit: float | None = 0.04,
    event: float | None = 0.05,
    frame: float | None = 0.09,
    *,
    slow_s: float | None = None,
    late_for_s: float | None = None,
) -> None:
    """Say what the prober would say."""
    now_ms = time.time_ns() // 1_000_000
    since = None if late_for_s is None else now_ms - round(late_for_s * 1000)
    seconds = {"commit": commit, "event": event, "frame": frame}
    status = Status(now_ms, seconds, slow_s, since)
    get_shelf().put(SHELF_NAME, orjson.dumps(asdict(status)), lifetime_s=60)


def measured(*rounds: tuple[float, float, float]) -> None:
    """Store what the canary's samples would say, the last one just now."""
    machine = Machine.objects.create(machine_id=CANARY, interval_s=10)
    layout = layouts.learn(
        [SeriesInfo(METRIC, "s", "gauge", "", ((ATTRIBUTE, name),)) for name in STAGES]
    )
    now_ms = time.time_ns() // 1_000_000
    samples = [
        StoredSample(
            machine.pk,
            layout.id,
            number,
            now_ms - (len(rounds) - number) * INTERVAL_MS,
            now_ms,
            np.array(values, "<f4").tobytes(),
        )
        for number, values in enumerate(rounds, start=1)
    ]
    raw.write([raw.Incoming(sample, b"e" * 16) for sample in samples])


def test_a_hub_that_is_not_probed_says_so(client: Client) -> None:
    page = client.get("/hub/").content.decode()

    assert "Unknown" in page
    assert "manage.py probe" in page
    assert client.get("/hub/bar").content.strip() == b""


def test_a_hub_on_time_shows_its_numbers_and_no_bar(client: Client) -> None:
    tell()
    measured(*[(0.02, 0.03, 0.05)] * 98, (1.5, 1.6, 1.7), (1.5, 1.6, 1.7))

    page = client.get("/hub/").content.decode()

    assert "On time" in page
    assert "100 tests" in page
    for text in ("90\u00a0ms", "50\u00a0ms", "1.7\u00a0s"):
        assert text in page
    assert client.get("/hub/bar").content.strip() == b""


@pytest.mark.parametrize(
    ("said", "word", "sentence"),
    [
        ({"commit": None}, "Late", "did not store its own test sample"),
        ({"event": None}, "Late", "was not shown within 30 s"),
        ({"frame": None}, "Late", "was not shown within 30 s"),
        ({"slow_s": 2.5}, "Slow", "values take up to 2.5 s"),
    ],
)
def test_a_late_hub_says_so_on_its_page_and_on_every_page(
    client: Client, said: dict[str, float | None], word: str, sentence: str
) -> None:
    tell(**said, late_for_s=180)

    page = client.get("/hub/").content.decode()
    bar = client.get("/hub/bar").content.decode()

    assert f'class="state">{word}<' in page
    for text in (page, bar):
        assert sentence in text
        assert "3\u00a0min\u00a0ago" in text


def test_every_page_asks_for_the_bar(client: Client) -> None:
    assert 'hx-get="/hub/bar"' in client.get("/").content.decode()


def test_who_signed_out_meanwhile_gets_no_sign_in_page_within_the_page() -> None:
    bar, now = Client().get("/hub/bar"), Client().get("/hub/now")

    assert (bar.status_code, bar.content) == (204, b"")
    assert (now.status_code, now["HX-Refresh"]) == (204, "true")
    assert Client().get("/hub/").status_code == 302


def test_what_a_process_counts_is_on_the_page(client: Client) -> None:
    figures = {
        "process_resident_memory_bytes": 100 * 2**20,
        "cpu_ratio": 0.25,
        "sysmonstm_event_loop_lag_seconds": {"count": 9, "p50": 0.001, "p99": 0.02},
        "sysmonstm_streams": 3,
        "sysmonstm_samples_stored_total": 12345,
        "sysmonstm_samples_duplicate_total": 1,
        "sysmonstm_samples_refused_total": 0,
        "sysmonstm_writer_queue_samples": 2,
        "sysmonstm_writer_batch_samples": {"count": 9, "p50": 3, "p99": 40},
        "sysmonstm_writer_commit_seconds": {"count": 9, "p50": 0.012, "p99": 0.2},
        "sysmonstm_ack_latency_seconds": {"count": 0, "p50": None, "p99": None},
    }
    told = {"role": "grpcserve", "place": "far:7", "text": "", "figures": figures}
    get_shelf().put("metrics:grpcserve:far:7", orjson.dumps(told), lifetime_s=60)

    page = client.get("/hub/").content.decode()

    assert "far:7" in page
    for text in (
        "100\u00a0MiB",
        "25\u00a0%",
        "12,345",
        "12\u00a0ms · 200\u00a0ms",
        "3 · 40",
    ):
        assert text in page


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),  # noqa: RUF001 - the dash people know
        (0.0009, "0.9\u00a0ms"),
        (0.0821, "82\u00a0ms"),
        (0.9994, "999\u00a0ms"),
        (1.44, "1.4\u00a0s"),
        (DEADLINE_S, ">\u00a030\u00a0s"),
    ],
)
def test_a_time_has_no_more_digits_than_it_deserves(
    seconds: float | None, text: str
) -> None:
    assert took(seconds) == text


def test_a_minute_without_a_test_is_a_gap() -> None:
    drawn = path([(0, 1.0), (1000, 2.0), (MINUTE_MS, 1.0), (3 * MINUTE_MS, 2.0)])

    assert drawn == "M114.0 0.0L116.0 10.0M120.0 0.0"


def test_quick_stages_lie_low() -> None:
    assert path([(0, 0.05), (MINUTE_MS, 0.05)]) == "M118.0 16.0L120.0 16.0"
    assert path([]) == ""


def test_what_was_given_up_can_be_tried_again(client: Client) -> None:
    ops = Contact(name="ops")
    ops.reach("ops@example.org")
    ops.save()
    Delivery.objects.create(contact=ops, state="dead", due_at=timezone.now())
    person = User.objects.get(username="ada")

    assert "try-again" not in client.get("/hub/").content.decode()
    person.groups.add(Group.objects.get_or_create(name="operator")[0])
    html = client.get("/hub/").content.decode()
    assert "Try 1 message again" in html
    assert "1 message about alerts could not be delivered for a day" in html

    after = client.post("/hub/try-again").content.decode()

    assert "try-again" not in after
    assert Delivery.objects.get().state == "waiting"
