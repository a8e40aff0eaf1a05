"""Nothing that a hub may say can run a program, read a file of its choice or open
a shell: shown over the wire's descriptors, over the source, and over what a whole
agent does while it is asked everything there is to ask.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sysmonstm_proto import metrics_pb2 as pb

AGENT = Path(__file__).parents[1] / "sysmonstm_agent"

# -- the wire

METHODS = {
    "MetricsService": {"StreamMetrics", "GetCurrentState", "GetAllStates"},
    "EnrolmentService": {"Enrol", "Rotate"},
    "ConfigService": {"WatchConfig", "ReportConfig"},
    "ControlService": {"ManageStream"},
}
COMMANDS = {
    "collect_now",
    "live_mode",
    "list_processes",
    "summarise_connections",
    "diagnose",
    "ping",
}
# Every text that a hub can send to a running agent, and what becomes of it.
TEXTS = {
    # Logged.
    "StreamAck.refusal.detail",
    # Compared with the names of collectors, mounts, devices and interfaces.
    "AgentConfig.collectors.key",
    "AgentConfig.skip_mounts",
    "AgentConfig.skip_devices",
    "AgentConfig.skip_interfaces",
    # Shown.
    "AgentConfig.labels.key",
    "AgentConfig.labels.value",
    # Kept as it is, and shown to the hub again.
    "RotateResponse.certificate",
}
HEARD = (pb.StreamAck, pb.AgentConfig, pb.ControlCommand, pb.RotateResponse)


def texts(message: Any, place: str) -> Iterator[str]:
    for field in message.fields:
        here = f"{place}.{field.name}"
        if field.type in (field.TYPE_STRING, field.TYPE_BYTES):
            yield here
        elif field.message_type is not None:
            yield from texts(field.message_type, here)


def test_the_services_are_those_that_were_thought_about() -> None:
    services = pb.DESCRIPTOR.services_by_name

    assert {
        name: {method.name for method in service.methods}
        for name, service in services.items()
    } == METHODS


def test_the_commands_are_a_closed_list_without_a_text() -> None:
    command = pb.ControlCommand.DESCRIPTOR
    (body,) = command.oneofs

    assert {field.name for field in body.fields} == COMMANDS
    assert {field.name for field in command.fields} - COMMANDS == {
        "request",
        "timeout_ms",
    }
    assert list(texts(command, "ControlCommand")) == []


def test_every_text_of_a_hub_is_known() -> None:
    found = {
        place
        for message in HEARD
        for place in texts(message.DESCRIPTOR, message.DESCRIPTOR.name)
    }

    assert found == TEXTS


# -- the source

# What the agent may import of Python's own modules. One that is new here is to be
# thought about: can it start something, or load code?
STDLIB = {
    *("__future__", "argparse", "array", "asyncio", "base64", "collections"),
    *("contextlib", "dataclasses", "datetime", "email", "errno", "fcntl", "fnmatch"),
    *("functools", "getpass", "glob", "grp", "hashlib", "heapq", "http", "itertools"),
    *("ipaddress", "json", "logging", "math", "os", "pathlib", "platform", "pwd"),
    *("queue", "random", "re", "secrets", "shutil", "signal", "socket", "sqlite3"),
    *("ssl", "stat", "string", "struct", "sys", "tempfile", "textwrap", "threading"),
    *("time", "types", "typing", "unicodedata", "urllib", "uuid", "zlib"),
}
# The one imports a module of its own, by the name of a command that a person typed;
# the other looks whether NVIDIA's library is installed.
IMPORTERS = {"importlib": {"commands.py", "collectors/gpu.py"}}
OTHERS = {"sysmonstm_agent", "sysmonstm_proto", "grpc", "google", "psutil"}
# `cryptography` makes the key of mutual TLS; `pynvml` asks NVIDIA's library.
OPTIONAL = {"cryptography", "pynvml"}

# They take numbers and texts by names that they have themselves.
BY_NAME = {
    *("command_line.py", "credential.py", "containers/usage.py"),
    *("collectors/cpu.py", "collectors/memory.py"),
}

STARTS = {
    *("system", "popen", "fork", "forkpty", "posix_spawn", "posix_spawnp"),
    *("execl", "execle", "execlp", "execlpe", "execv", "execve", "execvp", "execvpe"),
    *("spawnl", "spawnle", "spawnlp", "spawnlpe"),
    *("spawnv", "spawnve", "spawnvp", "spawnvpe", "startfile"),
    *("create_subprocess_exec", "create_subprocess_shell"),
    *("subprocess_exec", "subprocess_shell", "exec_module", "load_module"),
    "import_module",
}
BUILTINS = {"eval", "exec", "compile", "__import__", "breakpoint", "input"}


def sources() -> list[Path]:
    return sorted(AGENT.rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            # By another name it would hide from the test below.
            assert not any(a.name == "os" and a.asname for a in node.names)
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module != "os"
            yield node.module or ""


def starters(tree: ast.AST) -> Iterator[str]:
    """Yield each way to run something, or to reach for a name made up."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in STARTS:
            of = node.value.id if isinstance(node.value, ast.Name) else ""
            # `platform.system` and `cpu.system` start nothing.
            if node.attr != "system" or of == "os":
                yield f"{of}.{node.attr}"
        elif isinstance(node, ast.Name) and node.id in BUILTINS:
            yield node.id
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "getattr"
            and not isinstance(node.args[1], ast.Constant)
        ):
            yield "getattr"


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(AGENT)))
def test_a_module_of_the_agent_can_start_nothing(path: Path) -> None:
    tree = ast.parse(path.read_text(), path)

    place = str(path.relative_to(AGENT))
    tops = {name.partition(".")[0] for name in imported(tree)}
    for name, files in IMPORTERS.items():
        if place in files:
            tops.discard(name)
    assert tops - STDLIB - OTHERS - OPTIONAL == set()
    allowed = {"getattr"} if place in BY_NAME else set()
    if place == "commands.py":
        allowed.add("importlib.import_module")
    assert set(starters(tree)) - allowed == set()


@pytest.mark.parametrize(
    "line",
    [
        "import subprocess",
        "from multiprocessing import Process",
        "import ctypes",
        "import importlib",
        "import pickle",
        "import runpy",
    ],
)
def test_an_import_that_could_start_something_would_be_found(line: str) -> None:
    tops = {name.partition(".")[0] for name in imported(ast.parse(line))}

    assert tops - STDLIB - OTHERS - OPTIONAL


@pytest.mark.parametrize(
    "line",
    [
        "os.system('x')",
        "os.execv(a, b)",
        "os.posix_spawn(a, b, c)",
        "asyncio.create_subprocess_exec('x')",
        "loop.subprocess_shell(p, 'x')",
        "eval(text)",
        "getattr(thing, command.name)()",
    ],
)
def test_a_call_that_starts_something_would_be_found(line: str) -> None:
    assert list(starters(ast.parse(line)))


def reachable(start: str) -> set[str]:
    """Return the agent's modules that one of them imports, at once or later."""
    found, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        path = AGENT.parent / f"{name.replace('.', '/')}.py"
        if not path.exists():
            path = path.with_suffix("") / "__init__.py"
        if name in found or not path.exists():
            continue
        found.add(name)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                waiting.append(node.module)
                waiting += [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
    return found


def test_an_agent_that_runs_knows_nothing_of_the_commands_for_people() -> None:
    running = {name.rpartition(".")[2] for name in reachable("sysmonstm_agent.agent")}

    assert {"control", "registry", "stream"} <= running
    assert not running & {"commands", "enrol", "uninstall", "doctor", "__main__"}


# -- what it does


@pytest.mark.process
def test_whatever_it_is_asked_it_starts_nothing_and_reads_only_what_it_always_does(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        # -B: a module that is loaded late would be kept, which is a write.
        [sys.executable, "-B", "-m", "tests.audited", str(tmp_path)],
        cwd=AGENT.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # Else the test proves nothing.
    assert found["answers"] > 100
    assert found["opened"] > 50
    assert found["started"] == []
    assert found["elsewhere"] == []
