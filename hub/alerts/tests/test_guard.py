from __future__ import annotations

import ipaddress

import pytest

from hub.alerts.guard import Policy, Refused, networks, resolve

PUBLIC = Policy()
TICKED = Policy(private=True)


def judged(address: str, policy: Policy = PUBLIC) -> str | None:
    return policy.refusal(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "100.100.100.200",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "203.0.113.9",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2001::1",
        "2001:db8::1",
        "fd00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_an_address_that_only_the_hub_reaches_is_refused(address: str) -> None:
    assert judged(address) is not None


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "172.15.255.255",
        "172.32.0.1",
        "100.63.255.255",
        "100.128.0.1",
        "2606:4700::1",
        "2a00:1450:4001::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ],
)
def test_a_public_address_is_allowed(address: str) -> None:
    assert judged(address) is None


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("10.1.2.3", True),
        ("fd00::1", True),
        ("100.64.0.1", True),
        ("::ffff:10.0.0.1", True),
        # No tick opens where clouds hand out credentials, or nowhere.
        ("169.254.169.254", False),
        ("fe80::1", False),
        ("168.63.129.16", False),
        ("100.100.100.200", False),
        ("fd00:ec2::254", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_a_tick_opens_private_networks_alone(address: str, *, allowed: bool) -> None:
    assert (judged(address, TICKED) is None) is allowed


def test_a_network_named_in_the_settings_is_open_and_no_other() -> None:
    policy = Policy(networks(["10.1.2.0/24", "169.254.169.254/32"]))

    assert judged("10.1.2.200", policy) is None
    assert judged("169.254.169.254", policy) is None
    assert judged("10.1.3.1", policy) is not None
    assert judged("127.0.0.1", policy) is not None


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "localhost.",
        "0",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "127.1",
        "::1",
        "::ffff:127.0.0.1",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
    ],
)
def test_every_way_to_write_this_machine_is_refused(host: str) -> None:
    with pytest.raises(Refused):
        resolve(host, 80, PUBLIC)


def test_a_name_with_one_private_address_of_two_is_refused() -> None:
    with pytest.raises(Refused, match=r"two\.example leads to 10\.0\.0\.1"):
        resolve(
            "two.example", 80, PUBLIC, lookup=lambda host, port: ["1.1.1.1", "10.0.0.1"]
        )


@pytest.mark.parametrize("host", ["", " ", "a b", "a" * 254, "no\nname", "☃" * 80])
def test_what_is_no_name_is_refused(host: str) -> None:
    with pytest.raises(Refused):
        resolve(host, 80, PUBLIC, lookup=lambda host, port: ["1.1.1.1"])


def test_a_name_without_an_address_is_refused_in_a_sentence() -> None:
    def nobody(host: str, port: int) -> list[str]:
        raise OSError

    with pytest.raises(Refused, match=r"The name gone\.example cannot be resolved\."):
        resolve("gone.example", 80, PUBLIC, lookup=nobody)
