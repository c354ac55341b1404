"""Fetching keys over HTTP from an issuer that answers, and from one that misbehaves."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.issuer_server import (
    KEYS_PATH,
    METADATA_PATH,
    Behavior,
    IssuerServer,
    issuer_server,
)
from tests.support.oidc_tokens import signing_key
from tests.support.tls import self_signed
from tokensvc.access.oidc.fetching import FetchTerms, KeySource
from tokensvc.errors import IssuerUnavailable

KEY = signing_key("ES256", "key-1")
SHORT = FetchTerms(connect_seconds=0.2, read_seconds=0.2, total_seconds=0.4)


@pytest.fixture
def issuer() -> Iterator[IssuerServer]:
    """An issuer with one key."""
    with issuer_server(KEY) as running:
        yield running


def source(issuer: IssuerServer, jwks_url: str | None = None) -> KeySource:
    """Where that issuer publishes its keys."""
    return KeySource("main", issuer.url, jwks_url, terms=SHORT)


def failure_of(source: KeySource) -> str:
    """The text of the error of a fetch."""
    with pytest.raises(IssuerUnavailable) as caught:
        source.fetch()
    return str(caught.value)


def test_keys_are_found_by_the_metadata(issuer: IssuerServer) -> None:
    """Its path is added to the URL of the issuer, whose final slash is removed for it."""
    (key,) = source(issuer).fetch().keys
    assert key.key_id == "key-1"
    issuer.metadata = {"issuer": f"{issuer.url}/"}
    KeySource("main", f"{issuer.url}/").fetch()
    assert issuer.requests == 2 * [METADATA_PATH, KEYS_PATH]


def test_keys_are_fetched_from_the_url_of_the_settings(issuer: IssuerServer) -> None:
    """Without the metadata."""
    source(issuer, f"{issuer.url}{KEYS_PATH}").fetch()
    assert issuer.requests == [KEYS_PATH]


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://other.example.com"},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": ["https://issuer.example.com/keys"]},
        {"jwks_uri": "http://issuer.example.com/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "https://user@issuer.example.com/keys"},
        {"jwks_uri": "https://[::1/keys"},
    ],
)
def test_metadata_of_another_issuer_or_without_a_safe_url_is_refused(
    issuer: IssuerServer, metadata: dict[str, object]
) -> None:
    """No keys are requested then."""
    issuer.metadata = metadata
    failure_of(source(issuer))
    assert issuer.requests == [METADATA_PATH]


def test_a_remote_issuer_can_not_send_this_service_to_its_own_machine() -> None:
    """Nor to plain HTTP."""
    remote = KeySource("main", "https://issuer.example.com")
    urls = ["https://127.0.0.1/keys", "http://localhost/keys", "http://issuer.example.com/keys"]
    assert [remote._may_have_keys(url) for url in urls] == [False, False, False]
    assert remote._may_have_keys("https://keys.example.net/keys")


@pytest.mark.parametrize(
    "document",
    [b"", b"{}", b"[]", b'{"keys": []}', b'{"keys": [{"kty": "oct", "k": "AAAA"}]}', b"<html>"],
)
def test_a_document_without_a_usable_key_is_a_failure(
    issuer: IssuerServer, document: bytes
) -> None:
    """It never replaces keys."""
    issuer.key_document = document or b" "
    failure_of(source(issuer))


@pytest.mark.parametrize(
    "behavior", [302, 404, 500, "redirect", "close", "hang", "drip", "drip body", "endless", "gzip"]
)
def test_an_issuer_that_misbehaves_costs_a_bounded_time(
    issuer: IssuerServer, behavior: Behavior
) -> None:
    """Whatever it sends. A redirect is not followed."""
    issuer.behavior = behavior
    began = time.monotonic()
    failure_of(source(issuer, f"{issuer.url}/elsewhere"))
    assert time.monotonic() - began < 5
    assert KEYS_PATH not in issuer.requests
    issuer.behavior = None
    assert source(issuer).fetch().keys


def test_a_document_of_256_kib_is_read_and_a_longer_one_is_not(issuer: IssuerServer) -> None:
    """The other keys are left out."""
    document = json.dumps({"keys": [KEY.jwk]})
    issuer.key_document = document.ljust(262_144).encode()
    assert len(source(issuer).fetch().keys) == 1
    issuer.key_document = document.ljust(262_145).encode()
    assert "262144 bytes" in failure_of(source(issuer))


def test_the_certificate_is_verified(tmp_path: Path) -> None:
    """By the CA certificates of the settings, and by those of the machine without any."""
    context, certificate = self_signed(tmp_path)
    with issuer_server(KEY, tls=context) as issuer:
        assert "certificate" in failure_of(KeySource("main", issuer.url))
        assert KeySource("main", issuer.url, ca_file=certificate).fetch().keys
        failure_of(KeySource("main", issuer.url, ca_file=tmp_path / "missing.pem"))
