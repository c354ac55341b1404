"""Faults of Secrets Manager and KMS: each has its own error, and nothing is lost or made twice."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.keyring.custody.aws_custodies import HASTY, Place, place_of
from tests.support.faulty_server import Answer, Fault, faulty_server
from tests.support.moto import Moto
from tokensvc.breaker import OPEN_SECONDS
from tokensvc.errors import (
    CustodyDamaged,
    CustodyDenied,
    CustodyUnavailable,
    KeyDestroyed,
    TokensvcError,
)
from tokensvc.keyring.custody.kms import KmsCustody
from tokensvc.waiting import MustWait, no_waiting

WHO = "arn:aws:sts::123456789012:assumed-role/tokensvc/session"
MESSAGE = b"header.payload"
# For each kind: the operation that makes a private key, the one that signs or fetches, and the one
# that destroys.
OPERATIONS = {
    "kms": ("CreateKey", "Sign", "DisableKey"),
    "secretsmanager": ("CreateSecret", "GetSecretValue", "DeleteSecret"),
}
FAULTS = {
    "throttled": (400, "ThrottlingException", ""),
    "down": (503, "ServiceUnavailable", ""),
    "failing": (500, "InternalFailure", ""),
    "credentials": (400, "UnrecognizedClientException", ""),
}


@pytest.fixture(params=["kms", "secretsmanager"])
def kind(request: pytest.FixtureRequest, moto: Moto, tmp_path: Path) -> Iterator[str]:
    """Each kind of custody, in an empty moto."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        moto.set_environment(monkeypatch, tmp_path)
        yield request.param


@pytest.fixture
def place(kind: str) -> Iterator[Place]:
    """A process with that custody."""
    with place_of(kind) as place:
        yield place


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost_while_aws_refuses_for_now(kind: str, place: Place, fault: str) -> None:
    """Each call can be made again, and has the result that it would have had."""
    make, use, destroy = OPERATIONS[kind]
    for operation in (make, use, destroy):
        place.faults.answer(operation, *FAULTS[fault])
    key = place.other.create("k-1")
    errors = [_error_of(place, step) for step in ("create", "use", "destroy")]
    assert {type(error).code for error in errors} == {"custody_unavailable"}
    assert not any(isinstance(error, CustodyDenied) for error in errors)
    assert all(error.retry_after_seconds == 5 and error.hint for error in errors)

    place.faults.end()
    assert place.custody.create("k-1") == key
    key.public_key.verify(place.custody.signer(key).sign(MESSAGE), MESSAGE)
    assert list(place.custody.key_ids()) == ["k-1"]


def _error_of(place: Place, step: str) -> TokensvcError:
    key = place.other.create("k-1")
    steps: dict[str, Callable[[], object]] = {
        "create": lambda: place.custody.create("k-2"),
        "use": lambda: place.custody.signer(key).sign(MESSAGE),
        "destroy": lambda: place.custody.destroy("k-1", compromised=True),
    }
    with pytest.raises(TokensvcError) as caught:
        steps[step]()
    return caught.value


@pytest.mark.parametrize("step", ["create", "use", "destroy"])
def test_a_denial_names_the_action_the_resource_and_the_identity(
    kind: str, place: Place, step: str
) -> None:
    """As AWS says them, because one operation needs several actions. The key stays."""
    key = place.other.create("k-1")
    operation = OPERATIONS[kind][["create", "use", "destroy"].index(step)]
    resource = f"arn:aws:{kind}:eu-west-1:123456789012:key/1"
    message = (
        f"User: {WHO} is not authorized to perform: {kind}:TagResource on resource: {resource}"
        " because no identity-based policy allows it <b>x</b>"
    )
    place.faults.answer(operation, 400, "AccessDeniedException", message)
    error = _error_of(place, step)
    assert isinstance(error, CustodyDenied)
    assert f"{kind}:TagResource on {resource} to {WHO}." in error.detail
    assert f"{kind}:TagResource on {resource}" in error.hint
    assert "because" not in str(error)

    place.faults.answer(operation, 400, "AccessDeniedException")
    error = _error_of(place, step)
    assert f"{kind}:{operation}" in error.detail
    place.faults.end()
    assert place.custody.create("k-1") == key


@pytest.mark.parametrize("fault", [Fault.NO_RESPONSE, Fault.DROPPED_CONNECTION, Answer(200, b"x")])
def test_no_answer_of_aws_ends_within_the_time_out(
    kind: str, fault: Fault | Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.3 s here. The error names the variable of the endpoint."""
    variable = f"AWS_ENDPOINT_URL_{'KMS' if kind == 'kms' else 'SECRETS_MANAGER'}"
    with faulty_server(fault) as server:
        monkeypatch.setenv(variable, server.url)
        with place_of(kind, HASTY) as place:
            begun = time.monotonic()
            with pytest.raises(CustodyUnavailable) as caught:
                place.custody.create("k-1")
            assert time.monotonic() - begun < 5
    assert variable in caught.value.hint


def test_an_answer_that_is_lost_makes_no_second_private_key(kind: str, place: Place) -> None:
    """The next attempt finds the first one by its name."""
    place.faults.lose_answer("CreateAlias" if kind == "kms" else "CreateSecret")
    with pytest.raises(CustodyUnavailable):
        place.custody.create("k-1")
    made = place.other.create("k-1")
    assert place.custody.create("k-1") == made
    if isinstance(place.custody, KmsCustody):
        assert place.custody.unnamed_keys() == []


def test_an_answer_to_a_destruction_that_is_lost_is_asked_for_again(
    kind: str, place: Place
) -> None:
    """The second attempt has the date of the first."""
    place.custody.create("k-1")
    place.faults.lose_answer("ScheduleKeyDeletion" if kind == "kms" else "DeleteSecret")
    with pytest.raises(CustodyUnavailable):
        place.custody.destroy("k-1", compromised=False)
    gone_at = place.custody.destroy("k-1", compromised=False)
    assert 6.9 * 86_400 < gone_at - time.time() < 7.1 * 86_400
    with pytest.raises(KeyDestroyed):
        place.custody.create("k-1")


def test_calls_are_paused_while_aws_fails(kind: str, place: Place) -> None:
    """After three failures in a row no thread waits; 5 s later one call shows that it answers."""
    key = place.other.create("k-1")
    first = "DescribeKey" if kind == "kms" else "GetSecretValue"
    place.faults.answer(first, 503, "ServiceUnavailable")
    for _ in range(3):
        with pytest.raises(CustodyUnavailable):
            place.custody.signer(key)
    place.faults.end()
    calls = len(place.faults.calls)
    with no_waiting(), pytest.raises(CustodyUnavailable, match="not tried now") as paused:
        place.custody.signer(key)
    assert paused.value.retry_after_seconds == 5
    assert len(place.faults.calls) == calls
    place.clock.advance(OPEN_SECONDS)
    assert place.custody.signer(key).public_key == key.public_key
    assert place.custody.signer(key).public_key == key.public_key


def test_throttled_calls_pause_no_others(kind: str, place: Place) -> None:
    """Some of the calls are answered, so each is worth making."""
    key = place.other.create("k-1")
    first = "DescribeKey" if kind == "kms" else "GetSecretValue"
    place.faults.answer(first, 400, "ThrottlingException")
    for _ in range(4):
        with pytest.raises(CustodyUnavailable, match="throttles"):
            place.custody.signer(key)
    place.faults.end()
    assert place.custody.signer(key).public_key == key.public_key


def test_a_signer_is_never_loaded_on_the_event_loop(kind: str, place: Place) -> None:
    """Nor does a request that must wait count as a call that failed."""
    key = place.custody.create("k-1")
    calls = len(place.faults.calls)
    for _ in range(5):
        with no_waiting(), pytest.raises(MustWait):
            place.custody.signer(key)
    assert len(place.faults.calls) == calls
    assert place.custody.signer(key).public_key == key.public_key


def test_the_hint_about_a_private_key_that_aws_does_not_have_is_about_aws(
    kind: str, place: Place
) -> None:
    """There is no private key file to restore: another account may be configured, or it is lost."""
    key = place.custody.create("k-1")
    assert key.handle is not None
    handle = f"{key.handle[:-12]}{'0' * 12}" if kind == "kms" else key.handle.replace("k-1", "k-2")
    with pytest.raises(CustodyDamaged) as refusal:
        place.custody.signer(dataclasses.replace(key, handle=handle))
    assert "custody.url" in refusal.value.hint
    assert "file" not in refusal.value.hint
