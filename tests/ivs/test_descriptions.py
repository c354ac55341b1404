"""Several channels or stream keys: what IVS found, and the right error for each other one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.aws import set_aws_endpoint
from tests.support.faulty_server import Answer, Fault, faulty_server, refusal
from tokensvc.arns import ChannelArn, ResourceArn
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.errors import (
    ChannelNotFound,
    IvsRefused,
    IvsUnavailable,
    NotFound,
    TokensvcError,
)
from tokensvc.ivs.descriptions import CHANNELS, STREAM_KEYS, Arn, Kind, get_each
from tokensvc.ivs.errors import AccessDenied, PendingVerification, Throttled

FIRST = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
SECOND = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/zyxwVUTSrqpo")
KEY = ResourceArn.parse("arn:aws:ivs:us-west-2:123456789012:stream-key/abcdEFGHijkl")
OTHER_KEY = ResourceArn.parse("arn:aws:ivs:us-west-2:123456789012:stream-key/zyxwVUTSrqpo")


@pytest.fixture
def clients() -> Iterator[AwsClients]:
    """Clients that try once and wait at most 0.3 s."""
    clients = AwsClients(AwsTerms(read_timeout_seconds=1.0, max_attempts=1))
    yield clients
    clients.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without AWS configuration."""
    set_aws_endpoint(monkeypatch, tmp_path, "http://127.0.0.1:9")
    return tmp_path


def get_from(
    script: Answer | Fault,
    arns: list[Arn],
    clients: AwsClients,
    monkeypatch: pytest.MonkeyPatch,
    kind: Kind = CHANNELS,  # type: ignore[type-arg] # Either kind.
) -> tuple[list[str], list[TokensvcError]]:
    """The ARNs of the resources that a server with that script returns, and the errors."""
    with faulty_server(script) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_IVS", server.url)
        found, errors = get_each(clients, kind, arns)
    return [resource["arn"] for resource in found], errors


@pytest.mark.parametrize(
    ("code", "error", "identifier", "hint"),
    [
        ("ResourceNotFoundException", ChannelNotFound, "channel_not_found", "channels list"),
        ("AccessDeniedException", AccessDenied, "ivs_refused", "ivs:BatchGetChannel"),
        ("PendingVerification", PendingVerification, "ivs_refused", "AWS Support"),
        ("ValidationException", IvsRefused, "ivs_refused", "AWS_ENDPOINT_URL_IVS"),
        (None, IvsRefused, "ivs_refused", "AWS_ENDPOINT_URL_IVS"),
        ("InternalServerException", IvsUnavailable, "ivs_unavailable", "AWS Health Dashboard"),
        ("ServiceUnavailable", IvsUnavailable, "ivs_unavailable", "AWS Health Dashboard"),
        ("ThrottlingException", Throttled, "ivs_unavailable", "in a few seconds"),
        ("ExpiredTokenException", IvsUnavailable, "ivs_unavailable", "AWS credentials"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_each_code_of_a_failed_part_has_its_own_error(
    code: str | None,
    error: type[TokensvcError],
    identifier: str,
    hint: str,
    clients: AwsClients,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """IVS answers HTTP 200, and what it found is returned. The error names the ARN."""
    part = {"arn": str(FIRST), "code": code, "message": "No."}
    answer = Answer(200, {"channels": [{"arn": str(SECOND)}], "errors": [part]})
    found, errors = get_from(answer, [FIRST, SECOND], clients, monkeypatch)
    assert found == [str(SECOND)]
    (caught,) = errors
    assert type(caught) is error
    assert caught.code == identifier
    assert str(FIRST) in caught.detail
    assert hint in caught.hint
    if isinstance(caught, IvsRefused):
        assert caught.aws_code == (code or "")


@pytest.mark.usefixtures("folder")
def test_a_missing_stream_key_is_not_found(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint is the command that lists the stream keys."""
    part = {"arn": str(KEY), "code": "ResourceNotFoundException"}
    answer = Answer(200, {"streamKeys": [{"arn": str(OTHER_KEY)}], "errors": [part]})
    found, errors = get_from(answer, [OTHER_KEY, KEY], clients, monkeypatch, STREAM_KEYS)
    assert found == [str(OTHER_KEY)]
    assert type(errors[0]) is NotFound
    assert str(KEY) in errors[0].detail
    assert "`tokensvc stream-keys list`" in errors[0].hint


@pytest.mark.usefixtures("folder")
def test_an_arn_that_the_answer_does_not_mention_is_an_error(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command must not act on a channel that IVS has not described."""
    answer = Answer(200, {"channels": [{"arn": str(SECOND)}], "errors": []})
    found, errors = get_from(answer, [FIRST, SECOND], clients, monkeypatch)
    assert found == [str(SECOND)]
    assert type(errors[0]) is IvsRefused
    assert str(FIRST) in errors[0].detail


@pytest.mark.usefixtures("folder")
def test_the_results_have_the_order_of_the_arns(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IVS may answer in any order."""
    answer = Answer(200, {"channels": [{"arn": str(FIRST)}, {"arn": str(SECOND)}]})
    assert get_from(answer, [SECOND, FIRST], clients, monkeypatch) == (
        [str(SECOND), str(FIRST)],
        [],
    )


@pytest.mark.parametrize(
    ("kind", "arn", "error"), [(CHANNELS, FIRST, ChannelNotFound), (STREAM_KEYS, KEY, NotFound)]
)
@pytest.mark.usefixtures("folder")
def test_a_single_resource_that_does_not_exist_is_an_error(
    kind: Kind,  # type: ignore[type-arg] # Either kind.
    arn: Arn,
    error: type[TokensvcError],
    clients: AwsClients,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same class as for one of several."""
    with pytest.raises(error) as caught:
        get_from(refusal(404, "ResourceNotFoundException"), [arn], clients, monkeypatch, kind)
    assert type(caught.value) is error
    assert str(arn) in caught.value.detail


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (refusal(403, "AccessDeniedException"), AccessDenied),
        (refusal(500, "InternalServerException"), IvsUnavailable),
        (Fault.NO_RESPONSE, IvsUnavailable),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_call_that_fails_as_a_whole_is_raised(
    script: Answer | Fault,
    error: type[TokensvcError],
    clients: AwsClients,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing was found then."""
    with pytest.raises(error):
        get_from(script, [FIRST, SECOND], clients, monkeypatch)
