"""Which addresses the ledger calls of its own accord: public ones, and those that are allowed.

Python's `is_global` follows IANA's registries as each version knew them, and says yes to multicast
and to IPv6 addresses that stand for an IPv4 one (RFC 4291, 6052, 3056); so the few lines of the
registries that matter here are written out.
"""

from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Self

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NOT_PUBLIC_4 = (IPv4Network("192.88.99.0/24"), IPv4Network("240.0.0.0/4"))
_PUBLIC_6 = IPv6Network("2000::/3")  # all that IANA has given out for global unicast
_NOT_PUBLIC_6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocols, among them Teredo (RFC 4380), which names an IPv4 address
            "2001:db8::/32",
            "3fff::/20",
        ),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last four bytes are the IPv4 address


def is_public(address: Address) -> bool:
    """Whether a packet to it leaves every private network, whatever the address stands for."""
    if isinstance(address, IPv4Address):
        return (
            address.is_global
            and not address.is_multicast
            and not any(address in network for network in _NOT_PUBLIC_4)
        )
    stands_for = _embedded(address)
    if stands_for is not None:
        return is_public(stands_for)
    return address in _PUBLIC_6 and not any(address in network for network in _NOT_PUBLIC_6)


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address to which packets for an IPv6 one go in the end, where it names one."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be called though it is not public: hosts by name, with or without a port, networks.

    A host by its name may be at any address: whoever allows it trusts whoever says where it is.
    """

    hosts: frozenset[tuple[str, int | None]] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `receiver.intern, 127.0.0.1:9000, [::1]:9000, 10.1.0.0/16`; ValueError says why not.

        An address without a port is a network of one.
        """
        hosts: set[tuple[str, int | None]] = set()
        networks: list[Network] = []
        for part in filter(None, (part.strip() for part in text.split(","))):
            if "/" in part:
                networks.append(ip_network(part))
                continue
            try:
                networks.append(ip_network(_without_brackets(part)))
            except ValueError:
                hosts.add(_host_and_port(part))
        return cls(frozenset(hosts), tuple(networks))

    def has_host(self, host: str, port: int) -> bool:
        """Whether the host is named; `host` in lower case, an IPv6 address without brackets."""
        return bool({(host, port), (host, None)} & self.hosts)

    def has_address(self, address: Address) -> bool:
        """Whether the address lies in a network that is named."""
        return any(
            address in network for network in self.networks if network.version == address.version
        )


def _host_and_port(text: str) -> tuple[str, int | None]:
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, ""
    elif not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError(f"{text}: a port is a number from 1 to 65535")
    host = host.lower().rstrip(".")
    if (bare := _without_brackets(host)) != host:
        host = str(ip_address(bare))
    if not host or any(sign in host for sign in "/@[]%\\ ") or host.count(":") not in (0, *_MANY):
        raise ValueError(f"{text}: expected HOST, HOST:PORT or a network such as 10.1.0.0/16")
    return host, int(port) if port else None


def _without_brackets(text: str) -> str:
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text


_MANY = range(2, 8)  # colons of an IPv6 address
