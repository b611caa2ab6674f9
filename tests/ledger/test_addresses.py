"""What is public, and what the setting allows beside it."""

from ipaddress import ip_address

import pytest

from ledger.addresses import Allowed, is_public
from ledger.settings import BadSettings, Settings

PRIVATE = [
    "0.0.0.0",  # noqa: S104  (nothing is bound to it)
    "0.1.2.3",
    "127.0.0.1",
    "127.255.255.254",
    "10.1.1.1",
    "100.64.0.1",
    "100.127.255.255",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "2002:a9fe:a9fe::",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "fd00:ec2::254",
]
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.1",
    "172.32.0.1",
    "223.255.255.255",
    "2606:4700::1111",
    "2001:4860:4860::8888",
    "2a00:1450::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::",
]


@pytest.mark.parametrize("text", PRIVATE)
def test_an_address_that_stays_within_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_an_address_of_the_world_is_public(text: str) -> None:
    assert is_public(ip_address(text))


def test_what_is_allowed_is_a_host_a_host_with_a_port_or_a_network() -> None:
    allowed = Allowed.parse(
        " Receiver.Intern , other.intern:8443,127.0.0.1:9000, [::1]:9001, 10.1.0.0/16, 192.168.7.7,"
        "[fd00::7], fd12::/32,"
    )
    assert allowed.has_host("receiver.intern", 443)
    assert allowed.has_host("receiver.intern", 80)
    assert allowed.has_host("other.intern", 8443)
    assert not allowed.has_host("other.intern", 443)
    assert allowed.has_host("127.0.0.1", 9000)
    assert not allowed.has_host("127.0.0.1", 9001)
    assert allowed.has_host("::1", 9001)
    for inside in ("10.1.255.255", "192.168.7.7", "fd00::7", "fd12::1"):
        assert allowed.has_address(ip_address(inside)), inside
    for outside in ("10.2.0.0", "127.0.0.1", "192.168.7.8", "fd00::8", "fd13::1"):
        assert not allowed.has_address(ip_address(outside)), outside


@pytest.mark.parametrize(
    "text",
    [
        "a:0",
        "a:99999",
        "a:x",
        "10.1.0.1/16",
        "http://a",
        "a/b",
        "a b",
        "[::1",
        ":80",
        "a:b:80",
        "@",
    ],
)
def test_what_is_no_receiver_is_refused_with_the_settings(text: str) -> None:
    with pytest.raises(BadSettings, match="webhook_allow"):
        Settings.load(webhook_allow=text)


def test_nothing_is_allowed_by_default() -> None:
    assert Settings.load().webhook_allow == ""
    assert Allowed.parse("") == Allowed()
