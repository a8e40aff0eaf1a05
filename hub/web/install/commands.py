"""The ways to put an agent on a machine, each as commands to paste."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.http import HttpRequest

from hub.checks import grpc_speaks_tls
from hub.health import trust
from hub.health.probe import Unwell
from hub.machines import authority
from hub.web.install import place, script, stock
from hub.web.install.script import Text

HOME = "~/.sysmonstm"
# What the list of requirements is called where it was fetched.
LIST = "sysmonstm.txt"
# What the agent's container shares with its machine, so that it measures that one.
SHARED = "--network host --uts host -v sysmonstm-agent:/var/lib/sysmonstm-agent"


@dataclass(frozen=True, slots=True)
class Step:
    text: str
    command: str


@dataclass(frozen=True, slots=True)
class Way:
    """A tab: what it is called, what it takes, what to paste."""

    key: str
    title: str
    text: str
    steps: tuple[Step, ...]
    # Another way to the same, for some.
    instead: Step | None = None


class Unknown(Exception):
    """What a command has to carry is not known here; the text is a sentence."""


def check() -> None:
    """Raise Unknown where this process cannot say whom agents are to trust.

    Asked before a token is made: a command that carries the wrong one is worthless.
    """
    try:
        trust.compare()
    except Unwell as differs:
        raise Unknown(str(differs)) from None
    except (OSError, ValueError) as trouble:
        raise Unknown(
            "The hub's certificate cannot be read by this process "
            f"({trouble}). Web and grpcserve must share the folder tls in DATA_DIR, "
            "or be given GRPC_TLS_CERT."
        ) from None


def obstacle(request: HttpRequest) -> place.Obstacle | None:
    """Say what keeps machines out, before anybody makes a command."""
    try:
        check()
    except Unknown as trouble:
        return place.Obstacle(str(trouble))
    return place.obstacle(request)


class Commands:
    """Knows the hub's address, and what lets a machine in."""

    def __init__(self, request: HttpRequest, token: str, *, again: bool) -> None:
        self._hub = place.web(request)
        plain = not grpc_speaks_tls()
        self._token = token
        self._given = shlex.join(
            [
                self._hub,
                *(_fingerprint() if not plain else ()),
                *(("--again",) if again else ()),
                # Loopback is nobody else's; anything else has to be meant.
                *(("--plaintext",) if plain and not place.is_here(request) else ()),
            ]
        )

    def ways(self) -> tuple[Way, ...]:
        return (
            Way(
                "shell",
                "Shell",
                "For Linux with Python 3.11 or newer. It installs the agent as a "
                "service that runs without any privilege.",
                (Step("", self._shell("sudo ")),),
                Step("No root there? It can live in a home folder", self._shell("")),
            ),
            Way(
                "pip",
                "pip or pipx",
                "For any system with Python 3.11 or newer, and no root. Keeping it "
                "running is yours to arrange.",
                tuple(self._pip()),
                Step("With pipx", self._pipx()),
            ),
            Way(
                "docker",
                "Docker",
                "A container that reads the machine it runs on and needs no privilege.",
                tuple(self._docker()),
            ),
            Way(
                "systemd",
                "systemd by hand",
                "The same as the shell command, step by step, for those who want to "
                "see each one. As root.",
                tuple(self._systemd()),
            ),
        )

    def _shell(self, how: str) -> str:
        fetched = self._fetch("agent.sh", script.agent_sh(), "sysmonstm-agent.sh")
        # Not as an argument: those of a program are for every user to see.
        run = f"sh sysmonstm-agent.sh --token - --hub {self._given}"
        return f"{fetched} &&\necho {self._token} | {how}{run}"

    def _pipx(self) -> str:
        # Named by its file: somebody else may have the name on a package index. The
        # list pins the rest.
        *_, agent = stock.ours()
        wheel = f"{self._at(f'wheels/{agent.filename}')}#sha256={agent.sha256}"
        return (
            f"{self._fetch_list()} &&\npipx install {wheel} "
            f'--pip-args="--require-hashes -c $PWD/{LIST} {self._links()}" &&\n'
            f"{self._enrol()} &&\nsysmonstm-agent"
        )

    def _pip(self) -> Iterator[Step]:
        yield Step(
            "Install it into a folder of its own.",
            f"python3 -m venv {HOME} &&\n{self._fetch_list()} &&\n"
            f"{HOME}/bin/pip install --require-hashes -r {LIST} {self._links()}",
        )
        yield Step("Let it in.", f"{HOME}/bin/{self._enrol()}")
        yield Step("Start it.", f"{HOME}/bin/sysmonstm-agent")

    def _docker(self) -> Iterator[Step]:
        run = f"docker run {{}} --read-only --cap-drop ALL {SHARED}"
        yield Step(
            "Build the image.",
            self._fetch("Dockerfile", script.dockerfile(self._hub), "sysmonstm.docker")
            + " &&\ndocker build -t sysmonstm-agent - < sysmonstm.docker",
        )
        yield Step(
            "Let it in.", f"{run.format('--rm')} sysmonstm-agent \\\n  {self._enrol()}"
        )
        yield Step(
            "Start it.",
            run.format("-d --name sysmonstm-agent --restart unless-stopped")
            + " \\\n  --pid host -v /:/host:ro,rslave sysmonstm-agent",
        )

    def _systemd(self) -> Iterator[Step]:
        state = "/var/lib/sysmonstm-agent"
        user = "sysmonstm-agent"
        yield Step(
            "Install the program.",
            f"python3 -m venv /opt/sysmonstm &&\n{self._fetch_list()} &&\n"
            f"/opt/sysmonstm/bin/pip install --require-hashes -r {LIST} "
            + self._links(),
        )
        yield Step(
            "Give it a user of its own, and let it in.",
            f"id {user} >/dev/null 2>&1 || useradd --system --no-create-home "
            f"--shell /usr/sbin/nologin {user} &&\n"
            f"install -d -m 700 -o {user} {state} &&\n"
            f"runuser -u {user} -- env COLLECTOR_STATE_DIR={state} \\\n"
            f"  /opt/sysmonstm/bin/{self._enrol()}",
        )
        unit = "sysmonstm-agent.service"
        yield Step(
            "Make it a service.",
            self._fetch(unit, script.unit(), f"/etc/systemd/system/{unit}")
            + " &&\nsystemctl daemon-reload && systemctl enable --now sysmonstm-agent",
        )

    def _fetch_list(self) -> str:
        return self._fetch("requirements.txt", script.requirements_txt(), LIST)

    def _fetch(self, name: str, text: Text, to: str) -> str:
        """Fetch a file and go on only if it is the one that this page knows."""
        return (
            f"curl -fsSL {self._at(name)} -o {to} &&\n"
            f"echo '{text.sha256}  {to}' | sha256sum -c"
        )

    def _at(self, name: str) -> str:
        return shlex.quote(f"{self._hub}/install/{name}")

    def _links(self) -> str:
        host = shlex.quote(urlsplit(self._hub).netloc)
        return f"--find-links {self._at('wheels/')} --trusted-host {host}"

    def _enrol(self) -> str:
        return f"sysmonstm-agent enrol {self._given} --token {self._token}"


def _fingerprint() -> tuple[str, ...]:
    # A certificate that the world trusts is checked by name, and pinned by nothing.
    found = authority.fingerprint()
    return ("--fingerprint", found) if found else ()
