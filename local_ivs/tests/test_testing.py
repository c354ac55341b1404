"""`local_ivs.testing`, which other projects' tests use."""

from __future__ import annotations

import textwrap
import time
from typing import TYPE_CHECKING

import pytest
import urllib3
from flask import jsonify

from edge.tokens import NOW, claims
from local_ivs import testing
from local_ivs.testing import (
    EXAMPLE_NOW,
    Account,
    KeyPair,
    LocalIvsServer,
    ManualClock,
    Player,
    Reason,
    refusal_in,
)

if TYPE_CHECKING:
    from pathlib import Path

    from flask.typing import ResponseReturnValue


def test_the_example_in_the_documentation_works(tmp_path: Path) -> None:
    """The indented lines of the module's docstring."""
    lines = (testing.__doc__ or "").splitlines(keepends=True)
    example = "".join(line for line in lines if line.startswith("    ") or not line.strip())
    names = {"time": time, "urllib3": urllib3, "tmp_path": tmp_path, **vars(testing)}
    exec(textwrap.dedent(example), names)  # noqa: S102 - Our own text.
    assert "token" in names


def test_the_reason_of_a_refusal_is_that_of_the_edge(tmp_path: Path) -> None:
    """Absent, signed by a key pair that isn't imported, for another channel, expired; or none."""
    clock, pair = ManualClock(), KeyPair()
    with LocalIvsServer(tmp_path, clock) as server:
        account = Account(server, "123456789012")
        account.import_key(pair)
        channel, other = account.create_channel(), account.create_channel()
        token = pair.token(claims(channel.arn))
        tokens = {
            Reason.ABSENT: None,
            Reason.SIGNATURE: KeyPair().token(claims(channel.arn)),
            Reason.OTHER_CHANNEL: pair.token(claims(other.arn)),
        }
        for reason, refused in tokens.items():
            refusal = server.refusal_of(channel.arn, refused)
            assert refusal is not None
            assert refusal.reason is reason
            with urllib3.PoolManager() as pool:
                answer = Player(pool, server.url).start(channel, refused)
            assert refusal_in(answer) == (refusal.error_code, str(refusal))
        assert server.refusal_of(channel.arn, token) is None
        clock.advance(300)
        expired = server.refusal_of(channel.arn, token)
        assert expired is not None
        assert expired.reason is Reason.EXPIRED


def test_the_reason_is_judged_at_the_time_of_the_server(tmp_path: Path) -> None:
    """Including the offset that the control API has set."""
    pair = KeyPair()
    with LocalIvsServer(tmp_path, ManualClock()) as server:
        account = Account(server, "123456789012")
        account.import_key(pair)
        channel = account.create_channel()
        token = pair.token(claims(channel.arn, exp=NOW + 10))
        document = {"offset_seconds": 10}
        assert urllib3.request("PUT", f"{server.url}/_local/clock", json=document).status == 200
        refusal = server.refusal_of(channel.arn, token)
    assert refusal is not None
    assert refusal.reason is Reason.EXPIRED


def test_a_refused_playback_fails_the_test(tmp_path: Path) -> None:
    """With the edge's response."""
    with LocalIvsServer(tmp_path) as server, urllib3.PoolManager() as pool:
        channel = Account(server, "123456789012").create_channel()
        with pytest.raises(AssertionError, match="invalid_playback_auth_token"):
            Player(pool, server.url).watch(channel, None)


def test_another_answer_than_a_refusal_fails_the_test(tmp_path: Path) -> None:
    """A playlist, and a refusal with another status."""
    with LocalIvsServer(tmp_path) as server, urllib3.PoolManager() as pool:
        account, player = Account(server, "123456789012"), Player(pool, server.url)
        playlist = player.start(account.create_channel(private=False), None)
        with pytest.raises(AssertionError):
            refusal_in(playlist)
        with pytest.raises(AssertionError):
            refusal_in(playlist, 200)
        refusal = player.start(account.create_channel(), None)
        with pytest.raises(AssertionError):
            refusal_in(refusal, 404)


def test_a_response_that_does_not_conform_to_the_model_fails_the_test(tmp_path: Path) -> None:
    """The message names what is missing and what has the wrong type."""
    server = LocalIvsServer(tmp_path)

    @server.app.before_request
    def respond() -> ResponseReturnValue:
        return jsonify(channels=[{"arn": 7}], unknown=True), {"x-amzn-RequestId": "1"}

    with server:
        ivs = server.client()
        with pytest.raises(AssertionError) as caught:
            ivs.list_channels()
    message = str(caught.value)
    assert "ListChannels.channels[0].arn is int, not string" in message
    assert "ListChannels.unknown is unknown" in message


def test_its_clients_use_no_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment can't reach this machine's loopback."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with LocalIvsServer(tmp_path) as server:
        assert server.client().list_channels()["channels"] == []


def test_a_manual_clock_changes_only_by_hand() -> None:
    """Ahead, back, and to a time."""
    clock = ManualClock()
    assert clock.now() == EXAMPLE_NOW == 1_800_000_000
    clock.advance(1.5)
    assert clock.now() == 1_800_000_001.5
    clock.advance(-3600)
    assert clock.now() == 1_799_996_401.5
    clock.set(5)
    assert clock.now() == 5
