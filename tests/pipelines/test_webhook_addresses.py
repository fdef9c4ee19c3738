"""Where a webhook may go: addresses and URLs."""

import csv
import ipaddress
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntaze.pipelines.errors import Permanent
from huntaze.pipelines.webhooks.addresses import REFUSED, why_refused
from huntaze.pipelines.webhooks.targets import Target, TargetPolicy, parse_target

STRICT = TargetPolicy()
PRIVATE = ("10.0.0.1", "127.0.0.1", "169.254.169.254", "192.168.1.1", "172.31.255.255", "100.100.100.200")


def test_the_matrix(shared: Callable[[str], Path]) -> None:
    with shared("data/webhooks/ssrf_ip_matrix.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = {row["ip"]: "deny" if why_refused(row["ip"]) else "allow" for row in rows}
    assert found == {row["ip"]: row["expected"] for row in rows}


@pytest.mark.parametrize("network", REFUSED, ids=str)
def test_a_network_is_refused_from_its_first_address_to_its_last(network: ipaddress.IPv4Network) -> None:
    assert why_refused(str(network[0]))
    assert why_refused(str(network[-1]))
    assert "RFC" in REFUSED[network]


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.128.0.1",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.1",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:4860:4860::8888",
        "2a00:1450::1",
    ],
)
def test_what_is_public(address: str) -> None:
    assert why_refused(address) is None


@pytest.mark.parametrize("inner", ["8.8.8.8", *PRIVATE])
@pytest.mark.parametrize(
    "form",
    [
        "::{dotted}",
        "::ffff:{dotted}",
        "::ffff:0:{dotted}",
        "64:ff9b::{dotted}",
        "64:ff9b:1::{dotted}",
        "2002:{hex}::1",
        "2001:0:{hex}::1",
        "2a00:1450::5efe:{dotted}",
        "2a00:1450::200:5efe:{dotted}",
    ],
)
def test_an_ipv4_address_within_an_ipv6_one_is_refused_whatever_it_is(form: str, inner: str) -> None:
    packed = ipaddress.IPv4Address(inner).packed.hex()
    assert why_refused(form.format(dotted=inner, hex=f"{packed[:4]}:{packed[4:]}"))


@pytest.mark.parametrize(
    "odd",
    [
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "127.0.0.01",
        "1.1.1.1 ",
        "",
        "fe80::1%eth0",
        "2606:4700:4700::1111%1",
        "::ffff:0x7f.1",
        "１２７.0.0.1",
        "1.1.1.1/32",
        "[::1]",
        "localhost",
    ],
)
def test_odd_notations_are_refused(odd: str) -> None:
    assert why_refused(odd)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_nothing_that_python_calls_special_is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """One way only: Python's own properties miss some, which is why there is a list."""
    if why_refused(str(address)) is None:
        assert not (address.is_loopback)
        assert not (address.is_link_local)
        assert not (address.is_multicast)
        assert not (address.is_unspecified)
        assert not address.is_private


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://hooks.example.com", Target(True, "hooks.example.com", 443, "/")),
        ("https://Hooks.Example.com.:8443/a/b?c=d", Target(True, "hooks.example.com", 8443, "/a/b?c=d")),
        ("https://1.1.1.1/x", Target(True, "1.1.1.1", 443, "/x")),
        ("https://[2606:4700:4700::1111]/x", Target(True, "2606:4700:4700::1111", 443, "/x")),
        ("https://xn--bcher-kva.example/", Target(True, "xn--bcher-kva.example", 443, "/")),
    ],
)
def test_urls_that_are_taken(url: str, target: Target) -> None:
    assert parse_target(url, STRICT) == target


def test_the_host_header_names_a_port_only_where_it_is_not_the_usual() -> None:
    urls = ("https://a.example/", "https://a.example:8443/", "https://[2606:4700:4700::1111]:443/")
    assert [parse_target(url, STRICT).authority for url in urls] == [
        "a.example",
        "a.example:8443",
        "[2606:4700:4700::1111]",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "https:///x",
        "https://",
        "//hooks.example.com/",
        "https://user@hooks.example.com/",
        "https://user:password@hooks.example.com/",
        "https://hooks.example.com:22/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com:80/",
        "https://hooks.example.com/#part",
        "https://hooks.example.com\\@10.0.0.1/",
        "https://localhost/",
        "https://api.internal/",
        "https://printer.local/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://a.0x7f/",
        "https://a.10/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https://bücher.example/",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\r\nHost: x",
        "https://hooks.example.com/\x00",
        "https://-a.example/",
        "https://a..example/",
        "https://hooks.example.com/" + "a" * 2048,
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(Permanent) as refused:
        parse_target(url, STRICT)
    assert refused.value.code == "webhook.url_refused"


def test_a_machine_of_ones_own() -> None:
    mine = TargetPolicy(insecure=True)
    assert parse_target("http://127.0.0.1:9000/x", mine) == Target(False, "127.0.0.1", 9000, "/x")
    assert parse_target("http://localhost:80/", mine).authority == "localhost"
    for url in ("ftp://localhost/", "http://127.1/", "http://user@localhost/"):
        with pytest.raises(Permanent):
            parse_target(url, mine)


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    for url in (text, f"https://{text}", f"https://a.example/{text}"):
        try:
            target = parse_target(url, STRICT)
        except Permanent:
            continue
        assert target.path.isascii()
        assert target.secure
        assert target.port in STRICT.ports
