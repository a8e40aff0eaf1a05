"""Where a message may not go: addresses that only the hub itself can reach.

Pure but for `resolve`, and without Django: the courier's own process uses it too.
What is judged is always the address that is connected to, never a name, so that a
name that changes its answer in between changes nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Lookup = Callable[[str, int], Sequence[str]]


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# What an administrator may allow with a tick: networks of one's own.
PRIVATE = _networks(
    "127.0.0.0/8",
    "::1/128",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "fc00::/7",
)
# Where clouds hand out credentials: only a network named in the settings opens it.
METADATA = _networks(
    "169.254.0.0/16",
    "fe80::/10",
    "100.100.100.200/32",
    "168.63.129.16/32",
    "fd00:ec2::/32",
    "192.0.0.192/32",
)
# Nothing that answers a message lives there.
# https://www.iana.org/assignments/iana-ipv4-special-registry
# https://www.iana.org/assignments/iana-ipv6-special-registry
NOWHERE = _networks(
    "0.0.0.0/8",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
    "::/128",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fec0::/10",
    "ff00::/8",
)
# An IPv4 address within an IPv6 one: judged as what it leads to.
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
COMPATIBLE = ipaddress.IPv6Network("::/96")


class Refused(Exception):
    """The hub does not send there (permanent until something is changed)."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be reached beyond public addresses."""

    # Named by the operator of the hub: these networks, whatever they are.
    networks: tuple[Network, ...] = ()
    # Ticked by an administrator for one contact.
    private: bool = False

    def refusal(self, address: Address) -> str | None:
        """Say why an address may not be reached, or None."""
        address = _led_to(address)
        if _within(address, self.networks):
            return None
        if _within(address, METADATA):
            return f"{address} is link-local or a cloud's metadata service"
        if _within(address, PRIVATE) and not self.private:
            kind = "this machine itself" if address.is_loopback else "a private network"
            return f"{address} is {kind}"
        if _within(address, NOWHERE) and not address.is_loopback:
            return f"{address} is reserved"
        return None


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a name, as the system resolves it."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def resolve(
    host: str, port: int, policy: Policy, *, lookup: Lookup = look_up
) -> list[str]:
    """Return the addresses of a host, all of which may be reached.

    Raises Refused, also when only one of several may not: such a name is a trick.
    """
    name = _ascii(host)
    try:
        found = list(lookup(name, port))
    except (OSError, UnicodeError) as error:
        raise Refused(f"The name {host} cannot be resolved.") from error
    if not found:
        raise Refused(f"The name {host} cannot be resolved.")
    for text in found:
        # A zone (fe80::1%eth0) belongs to link-local addresses alone.
        if why := policy.refusal(ipaddress.ip_address(text.partition("%")[0])):
            said = "" if text == host else f"{host} leads to "
            raise Refused(f"Not allowed: {said}{why}.")
    return found


def _ascii(host: str) -> str:
    """Return a name as it is resolved; full-width digits become digits."""
    if not host or len(host) > 253 or any(ord(one) <= 32 for one in host):
        raise Refused("There is no host name in the address.")
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError as error:
        raise Refused("The host name cannot be written in ASCII.") from error


def _led_to(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in NAT64 or (address in COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    # The zone says by which interface, not where.
    return IPv6Address(int(address))


def _within(address: Address, among: Sequence[Network]) -> bool:
    return any(address.version == one.version and address in one for one in among)
