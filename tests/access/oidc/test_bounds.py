"""What clients can make a process remember has an upper limit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.support.clock import EXAMPLE_NOW, ManualClock
from tests.support.oidc_tokens import signing_key
from tokensvc.access.callers import Caller, Identity
from tokensvc.access.oidc import kept_keys
from tokensvc.access.oidc.failures import MAX_ADDRESSES, FailedVerifications
from tokensvc.access.oidc.keeper import KeyKeeper
from tokensvc.access.oidc.kept_keys import KeptKeys
from tokensvc.access.oidc.key_sets import KeySet, usable_keys
from tokensvc.access.oidc.refreshes import IssuerRefreshes, RefreshFollower
from tokensvc.access.oidc.remembered import RememberedTokens, Verified
from tokensvc.access.oidc.terms import IssuerTerms
from tokensvc.clock import Moment
from tokensvc.errors import RateLimited
from tokensvc.state.record_writer import RecordWriter
from tokensvc.state.sqlite import SqliteState

NOW = Moment(EXAMPLE_NOW, 1_000.0)
CALLER = Caller("oidc:main:x", "main", ())
KEYS = usable_keys([signing_key().jwk])


class Published:
    """An issuer that always publishes one key."""

    def fetch(self) -> KeySet:
        """The key."""
        return KEYS


@pytest.fixture
def keeper(tmp_path: Path) -> KeyKeeper:
    """A keeper that has fetched the key."""
    clock = ManualClock()
    state = SqliteState(tmp_path / "state.sqlite3", clock)
    kept = KeptKeys(
        state,
        RecordWriter(state, kept_keys.KIND),
        name="main",
        issuer="https://issuer.example.com",
        jwks_url=None,
        valid_seconds=60,
    )
    made = KeyKeeper(
        IssuerTerms("main", "https://issuer.example.com", ("a",)), Published(), kept, clock
    )
    made.fetch()
    return made


def test_tokens_of_8_mib_together_are_remembered(keeper: KeyKeeper) -> None:
    """Of more, the one that was used longest ago is forgotten."""
    remembered = RememberedTokens()
    verified = Verified(CALLER, keeper, KEYS.keys[0].thumbprint, EXAMPLE_NOW + 60)
    tokens = [f"{number:08192d}" for number in range(1_024)]
    for token in tokens:
        remembered.remember(token, verified)
    assert remembered.caller(tokens[0], NOW) is CALLER
    remembered.remember("one.more.token", verified)
    assert remembered.caller(tokens[0], NOW) is CALLER
    assert remembered.caller(tokens[1], NOW) is None
    assert remembered.caller("one.more.token", NOW) is CALLER
    remembered.clear()
    assert remembered.caller(tokens[0], NOW) is None


def test_10000_addresses_are_counted() -> None:
    """Of more, the one that failed longest ago begins again."""
    failures = FailedVerifications()
    for _ in range(20):
        failures.note("198.51.100.7", 0.0)
    with pytest.raises(RateLimited):
        failures.require("198.51.100.7", 0.0)
    for number in range(MAX_ADDRESSES):
        failures.note(f"10.0.{number // 256}.{number % 256}", 0.0)
    failures.require("198.51.100.7", 0.0)
    failures.note("unix:", 0.0)  # A client without an address.
    failures.require("unix:", 0.0)


def test_an_address_gets_one_more_attempt_every_two_seconds() -> None:
    """Up to 20 at once. The time to wait is said in whole seconds."""
    failures = FailedVerifications()
    for _ in range(20):
        failures.note("198.51.100.7", 100.0)
    with pytest.raises(RateLimited) as caught:
        failures.require("198.51.100.7", 100.5)
    assert caught.value.retry_after_seconds == 2
    failures.require("198.51.100.7", 102.0)
    failures.note("198.51.100.7", 102.0)
    with pytest.raises(RateLimited):
        failures.require("198.51.100.7", 103.9)
    for _ in range(20):
        failures.require("198.51.100.7", 1_000.0)
        failures.note("198.51.100.7", 1_000.0)
    with pytest.raises(RateLimited):
        failures.require("198.51.100.7", 1_000.0)


def test_the_subject_is_in_no_text_of_a_caller() -> None:
    """Such as that of an exception."""
    identity = Identity("https://issuer.example.com", "ann", ("v",), {"email": "ann@example.com"})
    assert "ann" not in repr(dataclasses.replace(CALLER, identity=identity))


def test_only_requests_since_the_start_are_followed() -> None:
    """A keeper fetches at its start anyway. An issuer that is not configured is ignored."""
    fetched: list[str] = []
    follower = RefreshFollower({"main": lambda: fetched.append("main")})
    first = IssuerRefreshes().with_request(["main"])
    follower.note(first)
    assert fetched == []
    second = first.with_request(["main", "other"])
    follower.note(second)
    follower.note(second.with_request(["other"]))
    assert fetched == ["main"]
