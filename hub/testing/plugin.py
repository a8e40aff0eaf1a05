"""The pytest plugin: one suite, two kinds of services.

`--services embedded` is SQLite and memory, `--services production` is TimescaleDB
and Redis: private servers, started once and shared by the workers of one run, or
those that TEST_TIMESCALE_URL and TEST_REDIS_URL name. Loaded by `-p` because
settings are read before any conftest.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings

from hub.env import Env
from hub.testing import prepared
from hub.testing.services import postgres, redis

# Who runs which file, in a parallel run.
pytest_plugins = ["hub.testing.lanes"]

# A busy machine is slow, which says nothing of the code.
settings.register_profile(
    "busy", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy")

TIMESCALE, REDIS = "TEST_TIMESCALE_URL", "TEST_REDIS_URL"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("sysmonstm")
    group.addoption(
        "--services",
        choices=("embedded", "production"),
        default="embedded",
        help="what hub tests run on",
    )
    group.addoption(
        "--forbid-skips",
        action="store_true",
        help="a test that skips itself fails: nothing may be missing here",
    )


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config,
) -> Generator[None, None, None]:
    """Set the scene before pytest-django reads the settings."""
    stack = ExitStack()
    early_config.add_cleanup(stack.close)
    _forget_the_machine()
    os.environ["DATA_DIR"] = stack.enter_context(
        tempfile.TemporaryDirectory(prefix="sysmonstm-test-")
    )
    # The workers of a parallel run inherit that of the run.
    if prepared.FOLDER not in os.environ:
        os.environ[prepared.FOLDER] = os.environ["DATA_DIR"]
        stack.callback(os.environ.pop, prepared.FOLDER)
    if early_config.known_args_namespace.services == "production":
        if not {TIMESCALE, REDIS} <= os.environ.keys():
            os.environ[TIMESCALE] = stack.enter_context(postgres())
            os.environ[REDIS] = stack.enter_context(redis())
            stack.callback(os.environ.pop, TIMESCALE)
            stack.callback(os.environ.pop, REDIS)
        os.environ["TIMESCALE_URL"] = os.environ[TIMESCALE]
        os.environ["REDIS_URL"] = _of_this_worker(os.environ[REDIS])
    return (yield)


def _forget_the_machine() -> None:
    """Let neither a shell's variables nor a checkout's `.env` reach the tests."""
    Env.model_config["env_file"] = None
    for name in Env.model_fields:
        os.environ.pop(name.upper(), None)


def _of_this_worker(url: str) -> str:
    """Give each worker of a parallel run a Redis database of its own."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    number = int(worker.removeprefix("gw")) + 1 if worker else 0
    return f"{url.rpartition('/')[0]}/{number}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave out what the other services are for; put browsers' tests last."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
    services = config.getoption("services")
    other = "embedded_only" if services == "production" else "production_only"
    left_out = [item for item in items if item.get_closest_marker(other)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_report_header(config: pytest.Config) -> str:
    return f"services: {config.getoption('services')}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if (
        item.config.getoption("forbid_skips")
        and report.skipped
        and not hasattr(report, "wasxfail")
    ):
        report.outcome = "failed"
        report.longrepr = f"skipped, which is forbidden here: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if collector.config.getoption("forbid_skips") and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, which is forbidden here: {report.longrepr}"
    return report
