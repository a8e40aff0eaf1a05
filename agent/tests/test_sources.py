from __future__ import annotations

import pytest
from sysmonstm_agent.config import BadConfig, load

STATE = {"COLLECTOR_STATE_DIR": "/var/lib/agent"}


def test_by_itself_the_usual_places_are_looked_at() -> None:
    sources = load({**STATE, "XDG_RUNTIME_DIR": "/run/user/7"}).sources

    assert sources.container_sockets == (
        "/var/run/docker.sock",
        "/run/podman/podman.sock",
        "/run/user/7/docker.sock",
        "/run/user/7/podman/podman.sock",
    )
    assert sources.system_bus == "/run/dbus/system_bus_socket"
    assert str(sources.textfile_dir) == "/var/lib/agent/textfile"
    assert sources.textfile_max_age_s == 2 * 86400


def test_each_can_be_named() -> None:
    sources = load(
        {
            **STATE,
            "COLLECTOR_CONTAINER_SOCKET": "unix:///srv/engine.sock",
            "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/host/bus,guid=1",
            "COLLECTOR_TEXTFILE_DIR": "/srv/metrics",
            "COLLECTOR_TEXTFILE_MAX_AGE": "90m",
        }
    ).sources

    assert sources.container_sockets == ("/srv/engine.sock",)
    assert sources.system_bus == "/host/bus"
    assert str(sources.textfile_dir) == "/srv/metrics"
    assert sources.textfile_max_age_s == 5400


def test_each_can_be_none() -> None:
    sources = load(
        {
            **STATE,
            "COLLECTOR_CONTAINER_SOCKET": "none",
            "COLLECTOR_TEXTFILE_DIR": "none",
        }
    ).sources

    assert (sources.container_sockets, sources.textfile_dir) == ((), None)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("COLLECTOR_CONTAINER_SOCKET", "docker.sock"),
        ("COLLECTOR_CONTAINER_SOCKET", "tcp://127.0.0.1:2375"),
        ("COLLECTOR_TEXTFILE_DIR", "metrics"),
        ("COLLECTOR_TEXTFILE_MAX_AGE", "31d"),
        ("COLLECTOR_TEXTFILE_MAX_AGE", "1"),
    ],
)
def test_what_makes_no_sense_is_named(variable: str, value: str) -> None:
    with pytest.raises(BadConfig, match=variable):
        load({**STATE, variable: value})
