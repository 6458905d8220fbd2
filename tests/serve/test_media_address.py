"""Which hosts and addresses are asked: names as given, ports as given, private addresses only where a port was given with them."""

import httpx2
import pytest

from videorouter.serve.media.address import AllowedHosts, may_be_asked
from videorouter.serve.media.options import MediaOptions

PRIVATE = [
    *("127.0.0.1", "127.8.9.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fc00::1", "fd12::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::1"),
    *("::127.0.0.1", "::10.0.0.1"),
]
NEVER = [
    *(
        "169.254.169.254",
        "169.254.0.1",
        "fe80::1",
        "fe80::1%eth0",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "255.255.255.255",
        "ff02::1",
    ),
    *("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "::ffff:0.0.0.0", "240.0.0.1"),
    *("64:ff9b:1::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "1.2.3", "", "host", "0x7f.1", "2130706433"),
]
PUBLIC = ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_need_a_host_that_is_named_with_its_port(address: str) -> None:
    assert not may_be_asked(address, private_allowed=False)
    assert may_be_asked(address, private_allowed=True)


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_asked(address: str) -> None:
    assert not may_be_asked(address, private_allowed=False)
    assert not may_be_asked(address, private_allowed=True)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_asked(address: str) -> None:
    assert may_be_asked(address, private_allowed=False)
    assert may_be_asked(address, private_allowed=True)


@pytest.mark.parametrize(
    ("entry", "url", "private_allowed"),
    [
        ("cdn.example.com", "https://cdn.example.com/a", False),
        ("cdn.example.com", "http://CDN.example.COM./a", False),
        ("CDN.example.com.", "http://cdn.example.com:443/a", False),
        ("cdn.example.com", "http://cdn.example.com:8080/a", None),
        ("cdn.example.com", "http://example.com/a", None),
        ("example.com", "http://cdn.example.com/a", None),
        ("example.com", "http://example.com.evil.org/a", None),
        ("example.com", "http://evil-example.com/a", None),
        ("example.com:8080", "http://example.com:8080/a", True),
        ("example.com:80", "http://example.com/a", True),
        ("example.com:80", "https://example.com/a", None),
        ("example.com:443", "https://example.com/a", True),
        ("[::1]:8000", "http://[::1]:8000/a", True),
        ("[::1]", "http://[::1]/a", False),
        ("127.0.0.1:8000", "http://127.0.0.1:8000/a", True),
        ("127.0.0.1:8000", "http://2130706433:8000/a", None),
        ("127.0.0.1:8000", "http://localhost:8000/a", None),
        ("bücher.example", "https://xn--bcher-kva.example/a", False),
        ("xn--bcher-kva.example", "https://BÜCHER.example/a", False),
    ],
)
def test_a_host_is_allowed_by_its_whole_name_and_port(entry: str, url: str, private_allowed: bool | None) -> None:
    assert AllowedHosts([entry]).private_allowed(httpx2.URL(url)) is private_allowed


@pytest.mark.parametrize(
    "entry",
    [
        "",
        " ",
        "*",
        "*.example.com",
        "http://host",
        "host/path",
        "host:",
        "host:port",
        "host:0",
        "host:70000",
        "::1",
        "a@b",
        "a b",
        ":80",
    ],
)
def test_what_is_no_host_is_refused_at_the_start(entry: str) -> None:
    with pytest.raises(ValueError, match="neither host nor host:port"):
        MediaOptions(allowed_hosts=[entry])
