"""The settings about reverse proxies."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from tests.settings.files import MINIMAL
from tests.support.settings import settings_in
from tokensvc.errors import SettingsInvalid
from tokensvc.settings import Settings, load_settings


def load(folder: Path, service: str) -> Settings:
    """The settings with this text in the section [service]."""
    path = folder / "tokensvc.toml"
    path.write_text(f"{MINIMAL}[service]\n{service}\n")
    return load_settings(path, {})


def test_no_proxy_is_trusted_and_no_prefix_is_removed_by_default(tmp_path: Path) -> None:
    """What a client sends in X-Forwarded headers has no effect."""
    service = settings_in(tmp_path).service
    assert (service.trusted_proxies, service.root_path) == ((), "")


def test_networks_and_addresses_of_both_versions_may_be_trusted(tmp_path: Path) -> None:
    """An address is a network of one."""
    text = 'trusted_proxies = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::1"]'
    assert load(tmp_path, text).service.trusted_proxies == (
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_network("192.0.2.7/32"),
        ipaddress.ip_network("2001:db8::/32"),
        ipaddress.ip_network("::1/128"),
    )


@pytest.mark.parametrize(
    "network", ["*", "0.0.0.0/0", "::/0", "10.0.0.1/8", "proxy.example.com", "10.0.0.0/33", ""]
)
def test_what_is_not_the_network_of_a_proxy_is_refused(tmp_path: Path, network: str) -> None:
    """Among them everyone, and an address that was meant as a network."""
    with pytest.raises(SettingsInvalid) as refusal:
        load(tmp_path, f'trusted_proxies = ["{network}"]')
    (problem,) = refusal.value.problems
    assert problem.field.startswith("service.trusted_proxies")


@pytest.mark.parametrize(
    ("written", "root_path"),
    [("", ""), ("/", ""), ("/api", "/api"), ("/api/", "/api"), ("/a-b/c_d.e~f", "/a-b/c_d.e~f")],
)
def test_a_prefix_has_no_final_slash(tmp_path: Path, written: str, root_path: str) -> None:
    """It may be written with one."""
    assert load(tmp_path, f'root_path = "{written}"').service.root_path == root_path


@pytest.mark.parametrize("root_path", ["api", "/a//b", "/a b", "/a?b", "/..", "/a/./b", "/é"])
def test_what_is_not_a_path_prefix_is_refused(tmp_path: Path, root_path: str) -> None:
    """A proxy would send another path."""
    with pytest.raises(SettingsInvalid) as refusal:
        load(tmp_path, f'root_path = "{root_path}"')
    assert [problem.field for problem in refusal.value.problems] == ["service.root_path"]
