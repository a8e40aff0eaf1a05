from __future__ import annotations

import os
from pathlib import Path

import pytest
from sysmonstm_agent.config import BadConfig, load


def test_nothing_need_be_said() -> None:
    config = load({})

    assert config.machine_id == os.uname().nodename
    assert (config.target, config.tls) == ("localhost:50051", False)
    assert config.interval_s == 5
    assert config.token == ""
    assert (config.log_level, config.log_format) == ("info", "json")
    assert (config.proc_root, config.sys_root) == ("/proc", "/sys")
    assert config.process_arguments == "masked"


def test_all_can_be_said(tmp_path: Path) -> None:
    config = load(
        {
            "COLLECTOR_MACHINE_ID": "büro-1",
            "COLLECTOR_AGGREGATOR_URL": "hub.example:443",
            "COLLECTOR_COLLECTION_INTERVAL": "2.5",
            "COLLECTOR_TOKEN": "smt_abc",
            "LOG_LEVEL": "DEBUG",
            "LOG_FORMAT": "console",
            "COLLECTOR_PROC_ROOT": f"{tmp_path}/",
            "COLLECTOR_SYS_ROOT": str(tmp_path),
            "COLLECTOR_PROCESS_ARGUMENTS": "None",
        }
    )

    assert config.machine_id == "büro-1"
    assert config.target == "hub.example:443"
    assert config.interval_s == 2.5
    assert config.token == "smt_abc"
    assert (config.log_level, config.log_format) == ("debug", "console")
    assert config.proc_root == config.sys_root == str(tmp_path)
    assert config.process_arguments == "none"


def test_an_empty_variable_is_an_unset_one() -> None:
    empty = {"COLLECTOR_COLLECTION_INTERVAL": "", "COLLECTOR_MACHINE_ID": " "}

    assert load(empty) == load({})


@pytest.mark.parametrize(
    ("url", "target", "tls"),
    [
        # TLS is left out on this machine alone, unless somebody says so.
        ("hub:50051", "hub:50051", True),
        ("127.0.0.1:50051", "127.0.0.1:50051", False),
        ("localhost:50051", "localhost:50051", False),
        ("127.hub.example:50051", "127.hub.example:50051", True),
        ("http://hub:50051/", "hub:50051", False),
        ("https://hub.example:443", "hub.example:443", True),
        ("[::1]:50051", "[::1]:50051", False),
        ("https://[2001:db8::7]:443", "[2001:db8::7]:443", True),
    ],
)
def test_where_the_hub_is(url: str, target: str, tls: bool) -> None:
    config = load({"COLLECTOR_AGGREGATOR_URL": url})

    assert (config.target, config.tls) == (target, tls)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("COLLECTOR_MACHINE_ID", "a" * 129),
        ("COLLECTOR_MACHINE_ID", "ü" * 65),
        ("COLLECTOR_MACHINE_ID", "web 1"),
        ("COLLECTOR_MACHINE_ID", "web/1"),
        ("COLLECTOR_MACHINE_ID", ".."),
        ("COLLECTOR_MACHINE_ID", "web\x00"),
        ("COLLECTOR_MACHINE_ID", "web\udcff"),
        ("COLLECTOR_AGGREGATOR_URL", "hub"),
        ("COLLECTOR_AGGREGATOR_URL", "hub:"),
        ("COLLECTOR_AGGREGATOR_URL", "hub:0"),
        ("COLLECTOR_AGGREGATOR_URL", "hub:65536"),
        ("COLLECTOR_AGGREGATOR_URL", "ftp://hub:21"),
        ("COLLECTOR_AGGREGATOR_URL", "://hub:21"),
        ("COLLECTOR_AGGREGATOR_URL", "me@hub:50051"),
        ("COLLECTOR_AGGREGATOR_URL", "hub:50051/path"),
        ("COLLECTOR_AGGREGATOR_URL", "::1:50051"),
        ("COLLECTOR_COLLECTION_INTERVAL", "soon"),
        ("COLLECTOR_COLLECTION_INTERVAL", "0"),
        ("COLLECTOR_COLLECTION_INTERVAL", "300.5"),
        ("COLLECTOR_COLLECTION_INTERVAL", "nan"),
        ("COLLECTOR_COLLECTION_INTERVAL", "-5"),
        ("COLLECTOR_TOKEN", "two words"),
        ("COLLECTOR_TOKEN", "schlüssel"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("COLLECTOR_PROC_ROOT", "/no/such/folder"),
        ("COLLECTOR_SYS_ROOT", "/etc/passwd"),
        ("COLLECTOR_PROCESS_ARGUMENTS", "some"),
        ("COLLECTOR_SPOOL_DIR", "here"),
        ("COLLECTOR_SPOOL_MAX_AGE", "soon"),
        ("COLLECTOR_SPOOL_MAX_AGE", "24"),
        ("COLLECTOR_SPOOL_MAX_AGE", "59s"),
        ("COLLECTOR_SPOOL_MAX_AGE", "8d"),
        ("COLLECTOR_SPOOL_MAX_SIZE", "big"),
        ("COLLECTOR_SPOOL_MAX_SIZE", "1M"),
        ("COLLECTOR_SPOOL_MAX_SIZE", "-5M"),
    ],
)
def test_nonsense_is_refused_in_a_sentence_that_names_the_variable(
    variable: str, value: str
) -> None:
    with pytest.raises(BadConfig) as refused:
        load({variable: value})

    sentence = str(refused.value)
    assert sentence.startswith(f"{variable} must be ")
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_how_much_waits_for_the_hub(tmp_path: Path) -> None:
    config = load({})
    assert (config.spool_max_age_s, config.spool_max_bytes) == (86_400, 256 * 1024**2)

    config = load(
        {
            "COLLECTOR_SPOOL_DIR": str(tmp_path),
            "COLLECTOR_SPOOL_MAX_AGE": "90m",
            "COLLECTOR_SPOOL_MAX_SIZE": "1GiB",
        }
    )
    assert (config.spool_base, config.spool_named) == (tmp_path, True)
    assert (config.spool_max_age_s, config.spool_max_bytes) == (5_400, 1024**3)


@pytest.mark.parametrize("size", ["64M", "64m", "64MB", "64MiB", "65536k", "67108864"])
def test_a_size_may_be_written_in_many_ways(size: str) -> None:
    assert load({"COLLECTOR_SPOOL_MAX_SIZE": size}).spool_max_bytes == 64 * 1024**2


def test_a_bad_token_is_not_shown() -> None:
    with pytest.raises(BadConfig) as refused:
        load({"COLLECTOR_TOKEN": "my secret"})

    assert "secret" not in str(refused.value)
