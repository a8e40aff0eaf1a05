from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hub.celery import app
from hub.env import Env
from hub.health import canary
from hub.testing import compose
from hub.testing.install import SERVICES as PROGRAMS
from hub.testing.packages import environment
from hub.testing.processes import free_port, running

SECRETS = {
    "SECRET_KEY": "key",
    "POSTGRES_PASSWORD": "word",
    "REDIS_PASSWORD": "pass",
    "AGENT_TOKEN": "token",
}
BASE = compose.read(compose.FILE, SECRETS)
SERVICES: dict[str, dict[str, Any]] = BASE["services"]
OURS = ("migrate", "web", "grpcserve", "worker", "beat", "alertserve", "probe", "agent")
LASTING = tuple(name for name in SERVICES if name != "migrate")

each = pytest.mark.parametrize("name", SERVICES)
each_lasting = pytest.mark.parametrize("name", LASTING)
each_of_ours = pytest.mark.parametrize("name", OURS)


@each_lasting
def test_a_service_has_a_health_check_with_a_deadline(name: str) -> None:
    check = SERVICES[name]["healthcheck"]

    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries"} <= check.keys()


@each
def test_a_service_has_limits(name: str) -> None:
    limits = SERVICES[name]["deploy"]["resources"]["limits"]

    assert {"cpus", "memory", "pids"} <= limits.keys()


@each
def test_a_service_is_not_root_and_cannot_become_it(name: str) -> None:
    service = SERVICES[name]

    assert service["user"] not in {"", "0", "0:0", "root"}
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@each_lasting
def test_a_service_starts_again_by_itself(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"


@each_of_ours
def test_our_programs_cannot_write_to_their_image(name: str) -> None:
    assert SERVICES[name]["read_only"] is True


@pytest.mark.parametrize("name", ["timescaledb", "redis"])
def test_what_others_made_is_pinned(name: str) -> None:
    assert re.search(r":\d+\.\d+\.\d+-", SERVICES[name]["image"])


@pytest.mark.parametrize("missing", SECRETS)
def test_it_refuses_to_start_without_a_secret(missing: str) -> None:
    others = {name: value for name, value in SECRETS.items() if name != missing}

    with pytest.raises(compose.NotSet, match=f"set {missing} in .env"):
        compose.read(compose.FILE, others)


def test_redis_wants_its_password_and_shows_it_to_nobody(tmp_path: Path) -> None:
    redis = SERVICES["redis"]
    port = free_port()
    tree = PROGRAMS / "redis"
    env = environment(tree) | redis["environment"]
    env["PATH"] = f"{tree}/usr/bin:{env['PATH']}"
    here = ("--port", str(port), "--bind", "127.0.0.1")

    with running(
        *(*redis["command"], *here), log=tmp_path / "log", env=env, cwd=tmp_path
    ) as server:
        server.wait_for_line("Ready to accept conn", within_s=60)
        line = Path(f"/proc/{server.pid}/cmdline").read_text()
        kept = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
        asked = f"redis-cli -p {port} ping"
        known, stranger = (
            subprocess.run(asked.split(), env=its, capture_output=True, text=True)
            for its in (env, env | {"REDISCLI_AUTH": ""})
        )
        assert server.stop() == 0

    assert redis["healthcheck"]["test"][1].startswith("redis-cli ping")
    assert (known.stdout, "NOAUTH" in stranger.stdout) == ("PONG\n", True)
    assert "pass" not in line
    assert not any(b"requirepass" in content for content in kept)


def test_ports_are_published_on_this_machine_alone() -> None:
    published = [
        port for service in SERVICES.values() for port in service.get("ports", [])
    ]

    assert published == ["127.0.0.1:8000:8000", "127.0.0.1:50051:50051"]


def test_every_variable_of_the_hub_is_one_it_knows() -> None:
    known = {name.upper() for name in Env.model_fields}

    assert SERVICES["web"]["environment"].keys() <= known


def test_the_settings_it_gives_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVICES["web"]["environment"].items():
        monkeypatch.setenv(name, value)

    given = Env()

    assert (
        given.timescale_url == "postgresql://sysmonstm:word@timescaledb:5432/sysmonstm"
    )
    assert given.redis_url == "redis://:pass@redis:6379/0"
    assert given.allowed_hosts == ["localhost", "127.0.0.1"]
    assert given.public_urls == []


def test_the_example_names_every_variable_and_holds_no_secret() -> None:
    example = (compose.ROOT / ".env.example").read_text()
    named = set(re.findall(r"^#?([A-Z0-9_]+)=", example, re.MULTILINE))
    used = set(re.findall(r"\$\{(\w+)", compose.FILE.read_text()))

    assert {name.upper() for name in Env.model_fields} | used <= named
    assert all(f"\n{name}=\n" in example for name in SECRETS)


@pytest.mark.parametrize(
    "name", ["web", "grpcserve", "worker", "beat", "alertserve", "probe"]
)
def test_the_override_reloads_the_same_command(name: str) -> None:
    over = compose.read(compose.OVERRIDE, SECRETS)["services"]
    service = compose.merge(SERVICES[name], over[name])

    assert service["entrypoint"] == ["python", "deploy/reload.py"]
    assert service["command"] == SERVICES[name]["command"]
    assert service["volumes"] == [".:/app:ro"]
    assert service["environment"]["DEBUG"] == "true"
    assert service["environment"]["SECRET_KEY"] == "key"


def test_the_override_names_services_that_exist() -> None:
    over = compose.read(compose.OVERRIDE, SECRETS)["services"]

    assert over.keys() <= SERVICES.keys()


def test_the_canary_outlives_some_missed_beats() -> None:
    probe = (compose.ROOT / "deploy" / "probe.py").read_text()

    assert app.conf.beat_schedule["canary"]["schedule"] * 3 <= canary.LIFETIME_S
    assert f'"{canary.KEY}"' in probe


@pytest.mark.parametrize("which", ["hub", "agent"])
def test_an_image_is_built_in_stages_from_hashed_packages(which: str) -> None:
    file = (compose.ROOT / "deploy" / f"{which}.Dockerfile").read_text()
    last = file.rpartition("\nFROM ")[2]

    assert len(re.findall(r"^FROM ", file, re.MULTILINE)) == 3
    assert re.search(r"^FROM python:3\.11\.\d+-slim-bookworm AS base$", file, re.M)
    assert "--require-hashes" in file
    assert "pip install" not in last
    assert re.search(r"^USER 1000[12]:", last, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", last, re.MULTILINE)
