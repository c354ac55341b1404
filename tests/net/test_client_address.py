"""The client behind proxies: the last hop that is not a trusted proxy."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensvc.net import Network, client_address, is_in

PROXIES: tuple[Network, ...] = (
    ipaddress.ip_network("10.0.0.0/8"),
    ipaddress.ip_network("2001:db8::/32"),
)
CLIENT = "198.51.100.7"


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        (CLIENT, "", CLIENT),
        ("10.0.0.1", CLIENT, CLIENT),
        ("10.0.0.1", f" {CLIENT} ", CLIENT),
        ("2001:db8::1", CLIENT, CLIENT),
        # What the client wrote itself stands on the left.
        ("10.0.0.1", f"192.0.2.1, {CLIENT}", CLIENT),
        ("10.0.0.1", f"10.9.9.9,{CLIENT}", CLIENT),
        # Two proxies in a row.
        ("10.0.0.1", f"192.0.2.1, {CLIENT}, 10.0.0.2", CLIENT),
        # The connection does not come from a proxy.
        (CLIENT, "192.0.2.1", CLIENT),
        (CLIENT, "10.0.0.1", CLIENT),
        # Only proxies: the first one is the client.
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "", "10.0.0.1"),
        # The forms that proxies write.
        ("10.0.0.1", f"{CLIENT}:49152", CLIENT),
        ("10.0.0.1", "[2001:DB9::7]:49152", "2001:db9::7"),
        ("10.0.0.1", "[2001:db9::7]", "2001:db9::7"),
        ("10.0.0.1", "2001:db9::7", "2001:db9::7"),
        ("::ffff:10.0.0.1", f"::ffff:{CLIENT}", CLIENT),
        # What is not an address ends the search: the hop that wrote it is the last known one.
        ("10.0.0.1", f"{CLIENT}, unknown", "10.0.0.1"),
        ("10.0.0.1", f"{CLIENT}, unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", f"{CLIENT},", "10.0.0.1"),
        ("", CLIENT, ""),
        ("unix:", CLIENT, "unix:"),
    ],
)
def test_the_client_is_the_last_hop_that_is_not_a_trusted_proxy(
    peer: str, forwarded_for: str, client: str
) -> None:
    """Read from the right, because only a trusted proxy has written what stands there."""
    assert client_address(peer, forwarded_for, PROXIES) == client


@given(peer=st.ip_addresses().map(str) | st.text(), forwarded_for=st.text())
def test_without_trusted_proxies_the_peer_is_the_client(peer: str, forwarded_for: str) -> None:
    """Whatever the header says."""
    assert client_address(peer, forwarded_for, ()) == peer


@given(
    left=st.lists(st.ip_addresses().map(str) | st.text(alphabet="0123456789.:[]x ")),
    client=st.ip_addresses(v=4, network="198.51.100.0/24").map(str),
    proxies=st.lists(st.ip_addresses(v=4, network="10.0.0.0/8").map(str), min_size=1),
)
def test_a_client_can_not_choose_its_address(
    left: list[str], client: str, proxies: list[str]
) -> None:
    """With any X-Forwarded-For of its own, through any number of proxies that each append."""
    *hops, peer = [client, *proxies]
    assert client_address(peer, ",".join([*left, *hops]), PROXIES) == client


def test_a_text_that_is_not_an_address_is_in_no_network() -> None:
    """Such as the peer of a UNIX socket."""
    assert not is_in("", PROXIES)
    assert is_in("10.1.2.3", PROXIES)
    assert not is_in("11.1.2.3", PROXIES)
