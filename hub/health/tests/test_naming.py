from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from hub.health import naming


@pytest.mark.parametrize(
    ("name", "unit", "kind", "expected"),
    [
        ("system.cpu.utilization", "1", "gauge", "system_cpu_utilization_ratio"),
        ("system.memory.usage", "By", "gauge", "system_memory_usage_bytes"),
        ("system.network.io", "By/s", "gauge", "system_network_io_bytes_per_second"),
        ("system.uptime", "s", "gauge", "system_uptime_seconds"),
        ("system.temperature", "Cel", "gauge", "system_temperature_celsius"),
        ("system.process.count", "{process}", "gauge", "system_process_number"),
        (
            "system.paging.faults",
            "{fault}/s",
            "gauge",
            "system_paging_faults_per_second",
        ),
        ("system.network.errors", "{error}", "counter", "system_network_errors_total"),
        ("system.cpu.time", "s", "counter", "system_cpu_time_seconds_total"),
        ("sysmonstm.spool.size", "By", "gauge", "spool_size_bytes"),
        ("disk.size.bytes", "By", "gauge", "disk_size_bytes"),
        ("disk.failing", "bad", "gauge", "disk_failing"),
        ("odd name!", "furlong/week", "gauge", "odd_name__furlong_week"),
    ],
)
def test_a_name_says_its_unit_as_prometheus_does(
    name: str, unit: str, kind: str, expected: str
) -> None:
    assert naming.metric_name(name, unit, kind) == f"sysmonstm_{expected}"


@given(st.text(), st.text(), st.sampled_from(["gauge", "counter"]))
def test_any_name_becomes_a_valid_one(name: str, unit: str, kind: str) -> None:
    made = naming.metric_name(name, unit, kind)

    assert re.fullmatch(r"[a-z_:][a-z0-9_:]*", made)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ([("system.device", "sda")], ',system_device="sda"'),
        ([("a.b", "1"), ("a_b", "2")], ',a_b="1;2"'),
        ([("machine", "other")], ',attribute_machine="other"'),
        ([("0", "zero")], ',key_0="zero"'),
        ([("__name__", "evil")], ',key_name__="evil"'),
        ([("path", 'C:\\"x"\n')], ',path="C:\\\\\\"x\\"\\n"'),
        ([], ""),
    ],
)
def test_attributes_become_labels(
    attributes: list[tuple[str, str]], expected: str
) -> None:
    assert naming.labels(attributes) == expected


# Ingest refuses control characters; a line's end is escaped all the same.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"))


@given(st.dictionaries(st.text(min_size=1), texts, max_size=5), texts)
def test_whatever_an_agent_says_is_read_back(
    attributes: dict[str, str], machine: str
) -> None:
    said = naming.escaped(machine)
    line = f'x{{machine="{said}"{naming.labels(sorted(attributes.items()))}}} 1\n'

    [family] = text_string_to_metric_families(line)

    [sample] = family.samples
    found = dict(sample.labels)
    assert found.pop("machine") == machine
    assert sorted("".join(found.values()).replace(";", "")) == sorted(
        "".join(attributes.values()).replace(";", "")
    )
