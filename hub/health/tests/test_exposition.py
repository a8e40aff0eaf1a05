from __future__ import annotations

import orjson
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from hub import metrics
from hub.health.exposition import Families, Process, exposition
from hub.health.shelf import PREFIX, get_shelf

GRPC = """\
# HELP sysmonstm_samples_stored_total Samples committed.
# TYPE sysmonstm_samples_stored_total counter
sysmonstm_samples_stored_total 12.0
# HELP sysmonstm_sockets Browsers that are connected.
# TYPE sysmonstm_sockets gauge
sysmonstm_sockets 2.0
"""


def told(text: bytes) -> dict[tuple[str, str], float]:
    """Read as Prometheus does: a family that comes twice would be refused."""
    families = list(text_string_to_metric_families(text.decode()))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    return {
        (sample.name, sample.labels["process"]): sample.value
        for family in families
        for sample in family.samples
    }


def test_processes_are_told_apart_within_one_family() -> None:
    web = GRPC.replace("12.0", "0.0").replace("2.0", "5.0")
    both = Families(
        [Process("grpcserve", "a:1", GRPC, {}), Process("web", "a:2", web, {})]
    )

    assert told(generate_latest(both)) == {
        ("sysmonstm_samples_stored_total", "grpcserve"): 12,
        ("sysmonstm_samples_stored_total", "web"): 0,
        ("sysmonstm_sockets", "grpcserve"): 2,
        ("sysmonstm_sockets", "web"): 5,
    }


def test_what_another_process_shared_is_there() -> None:
    shared = {"role": "grpcserve", "place": "b:7", "text": GRPC, "figures": {}}
    get_shelf().put(f"{PREFIX}grpcserve:b:7", orjson.dumps(shared), lifetime_s=5)

    found = told(exposition())

    assert found["sysmonstm_samples_stored_total", "grpcserve"] == 12
    assert found["process_resident_memory_bytes", metrics.Role.name] > 1e6


def test_what_this_process_shared_is_not_told_twice() -> None:
    shared = {
        "role": metrics.Role.name,
        "place": metrics.Role.place,
        "text": "# TYPE sysmonstm_older gauge\nsysmonstm_older 1\n",
        "figures": {},
    }
    get_shelf().put(f"{PREFIX}own", orjson.dumps(shared), lifetime_s=5)

    assert "sysmonstm_older" not in exposition().decode()


@pytest.mark.parametrize(
    "name",
    [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "sysmonstm_writer_commit_seconds_bucket",
        "sysmonstm_ack_latency_seconds_bucket",
        "sysmonstm_event_lag_seconds_bucket",
        "sysmonstm_event_loop_lag_seconds_bucket",
        "sysmonstm_writer_batch_samples_bucket",
        "sysmonstm_frames_total",
    ],
)
def test_the_hub_tells_of_itself(name: str) -> None:
    assert any(found == name for found, _ in told(exposition()))


def test_every_instrument_is_explained_and_named_by_the_rules() -> None:
    for family in metrics.registry.collect():
        assert family.documentation.endswith(".")
        assert family.name.startswith(("sysmonstm_", "process_"))
        if family.type == "histogram":
            assert family.name.endswith(("_seconds", "_samples"))
