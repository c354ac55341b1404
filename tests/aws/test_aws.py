"""boto3 against a server that fails in every way AWS can: the error, its data and its hint."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.support.aws import set_aws_endpoint, set_aws_environment
from tests.support.faulty_server import Answer, Fault, FaultyServer, faulty_server, refusal
from tokensvc.arns import ChannelArn, Region
from tokensvc.aws import AwsClients, AwsTerms, endpoint_of
from tokensvc.errors import IvsRefused, IvsUnavailable, NotFound
from tokensvc.ivs.errors import (
    AccessDenied,
    ChannelNotBroadcasting,
    Conflict,
    InvalidParameters,
    PendingVerification,
    QuotaExceeded,
)
from tokensvc.ivs.translation import translate_errors

OREGON = Region("us-west-2")
CHANNEL = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
ONE_TRY = AwsTerms(connect_timeout_seconds=1.0, read_timeout_seconds=2.0, max_attempts=1)
FOUND = Answer(200, {"channel": {"arn": str(CHANNEL), "playbackUrl": "https://example.net/c.m3u8"}})


@pytest.fixture
def clients() -> Iterator[AwsClients]:
    """Clients that try once and wait at most 0.3 s."""
    clients = AwsClients(ONE_TRY)
    yield clients
    clients.close()


def get_url(clients: AwsClients) -> str:
    """Fetch the channel like the callers of `translate_errors` do; its playback URL."""
    client = clients.ivs(OREGON)
    with translate_errors("GetChannel", OREGON):
        return client.get_channel(arn=str(CHANNEL))["channel"]["playbackUrl"]


def get_url_from(
    script: Answer | Fault, clients: AwsClients, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> FaultyServer:
    """Fetch the channel from a server with that script; errors are raised."""
    with faulty_server(script) as server:
        set_aws_endpoint(monkeypatch, folder, server.url)
        get_url(clients)
    return server


def closed_port() -> int:
    """A port without a listener."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_a_client_uses_the_endpoint_of_the_environment_and_its_user_agent_has_tokensvc(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The endpoint is AWS_ENDPOINT_URL_IVS."""
    with faulty_server(FOUND) as server:
        set_aws_endpoint(monkeypatch, tmp_path, server.url)
        assert get_url(clients) == "https://example.net/c.m3u8"
        assert endpoint_of(clients.ivs(OREGON)) == server.url
    assert server.operations == ["GetChannel"]
    assert "tokensvc" in server.requests[0].user_agent


def test_without_an_endpoint_in_the_environment_each_region_has_its_own(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each region's client calls that region, and is created once."""
    set_aws_environment(
        monkeypatch, tmp_path, AWS_ACCESS_KEY_ID="example", AWS_SECRET_ACCESS_KEY="example"
    )
    oregon = clients.ivs(OREGON)
    frankfurt = clients.ivs(Region("eu-central-1"))
    assert endpoint_of(oregon) == "https://ivs.us-west-2.amazonaws.com"
    assert endpoint_of(frankfurt) == "https://ivs.eu-central-1.amazonaws.com"
    assert clients.ivs(OREGON) is oregon


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (429, "ThrottlingException"),
        (429, "TooManyRequestsException"),
        (400, "ThrottlingException"),
        (500, "InternalServerException"),
        (503, "ServiceUnavailable"),
    ],
)
def test_throttling_and_failures_of_ivs_are_unavailability(
    status: int, code: str, clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """429 with any error code, and 5xx: a later attempt can succeed."""
    with pytest.raises(IvsUnavailable) as caught:
        get_url_from(refusal(status, code), clients, monkeypatch, tmp_path)
    assert caught.value.retry_after_seconds == 5
    assert "GetChannel" in caught.value.detail
    assert "us-west-2" in caught.value.detail


@pytest.mark.parametrize(
    ("status", "code", "kind", "hint"),
    [
        (403, "AccessDeniedException", AccessDenied, "ivs:GetChannel"),
        (403, "PendingVerification", PendingVerification, "AWS Support"),
        (402, "ServiceQuotaExceededException", QuotaExceeded, "Delete"),
        (409, "ConflictException", Conflict, "`tokensvc keys list`"),
        (404, "ChannelNotBroadcasting", ChannelNotBroadcasting, "AWS_ENDPOINT_URL_IVS"),
        (400, "ValidationException", IvsRefused, "AWS_ENDPOINT_URL_IVS"),
    ],
)
def test_refusals_of_ivs_have_a_class_and_a_hint_and_keep_their_code(
    status: int,
    code: str,
    kind: type[IvsRefused],
    hint: str,
    *,
    clients: AwsClients,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The hint depends on the code, because botocore does not read `exceptionMessage`."""
    with pytest.raises(IvsRefused) as caught:
        get_url_from(refusal(status, code), clients, monkeypatch, tmp_path)
    assert type(caught.value) is kind
    assert caught.value.aws_code == code
    assert hint in caught.value.hint


@pytest.mark.parametrize("status", [403, 404, 407, 429, 502])
def test_an_answer_of_a_proxy_is_not_reported_as_one_of_ivs(
    status: int, clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """AWS's answers have an error code and a request ID; this one is a page for people."""
    page = Answer(status, b"<html>Ask your administrator.</html>")
    with pytest.raises(
        IvsUnavailable, match=r"not from AWS.*proxy.*AWS_ENDPOINT_URL_IVS"
    ) as caught:
        get_url_from(page, clients, monkeypatch, tmp_path)
    assert f"HTTP {status}" in caught.value.detail


def test_the_hint_for_a_denied_import_has_the_tagging_action_too() -> None:
    """Tags on creation need ivs:TagResource."""
    error = ClientError(
        {"Error": {"Code": "AccessDeniedException"}, "ResponseMetadata": {"HTTPStatusCode": 403}},  # type: ignore[typeddict-item]  # the other members do not matter
        "ImportPlaybackKeyPair",
    )
    with (
        pytest.raises(IvsRefused, match="ivs:ImportPlaybackKeyPair and ivs:TagResource"),
        translate_errors("ImportPlaybackKeyPair", OREGON),
    ):
        raise error


def test_the_message_of_ivs_is_a_note_for_the_log_and_not_part_of_the_error(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The cause has IVS's message as a note; detail and hint do not repeat it."""
    answer = refusal(400, "ValidationException", "Request member: arn failed")
    with pytest.raises(IvsRefused) as caught:
        get_url_from(answer, clients, monkeypatch, tmp_path)
    assert caught.value.__cause__ is not None
    (note,) = caught.value.__cause__.__notes__
    assert note.endswith(": Request member: arn failed")
    assert "Request member" not in str(caught.value)


def test_a_resource_that_does_not_exist_in_ivs_is_not_found(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """ResourceNotFoundException is not a refusal, because callers expect it."""
    with pytest.raises(NotFound) as caught:
        get_url_from(refusal(404, "ResourceNotFoundException"), clients, monkeypatch, tmp_path)
    assert caught.value.code == "not_found"
    assert "us-west-2" in caught.value.detail
    assert "GetChannel" in caught.value.detail
    assert "ARN" in caught.value.hint


@pytest.mark.parametrize(
    "code",
    [
        "ExpiredTokenException",
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
    ],
)
def test_rejected_credentials_are_the_reason_in_the_error(
    code: str, clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Expired or wrong credentials: the hint is to renew them and to check the clock."""
    with pytest.raises(IvsUnavailable) as caught:
        get_url_from(refusal(403, code), clients, monkeypatch, tmp_path)
    assert "AWS credentials" in caught.value.detail
    assert code in caught.value.detail
    assert "AWS credentials" in caught.value.hint
    assert "clock" in caught.value.hint


def test_missing_credentials_are_reported_and_found_once_they_are_configured(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After the failure, the next call uses credentials that were written meanwhile."""
    with faulty_server(FOUND) as server:
        set_aws_environment(monkeypatch, tmp_path, AWS_ENDPOINT_URL_IVS=server.url)
        with pytest.raises(IvsUnavailable, match="AWS credentials") as caught:
            get_url(clients)
        assert "AWS_ACCESS_KEY_ID" in caught.value.hint
        (tmp_path / "no-credentials").write_text(
            "[default]\naws_access_key_id = example\naws_secret_access_key = example\n"
        )
        assert get_url(clients) == "https://example.net/c.m3u8"
    assert server.operations == ["GetChannel"]


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_PROFILE": "unknown"},
        {"AWS_ACCESS_KEY_ID": "without-secret"},
    ],
)
def test_the_hint_for_unusable_credentials_has_the_profile_and_the_files(
    variables: dict[str, str],
    clients: AwsClients,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """An unknown profile, or a key ID without its secret."""
    set_aws_environment(monkeypatch, tmp_path, **variables)
    with pytest.raises(IvsUnavailable, match="AWS credentials") as caught:
        get_url(clients)
    assert "AWS_PROFILE" in caught.value.hint
    assert "~/.aws" in caught.value.hint


def test_the_hint_for_an_endpoint_that_is_not_a_url_has_its_variable(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A typing error in AWS_ENDPOINT_URL_IVS."""
    set_aws_endpoint(monkeypatch, tmp_path, "localhost 8001")
    with pytest.raises(IvsUnavailable, match="AWS_ENDPOINT_URL_IVS"):
        get_url(clients)


def test_an_unreachable_endpoint_is_reported_with_its_url(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The operator reads which URL was called."""
    endpoint_url = f"http://127.0.0.1:{closed_port()}"
    set_aws_endpoint(monkeypatch, tmp_path, endpoint_url)
    with pytest.raises(IvsUnavailable) as caught:
        get_url(clients)
    assert endpoint_url in caught.value.detail
    assert "network" in caught.value.hint
    assert "AWS_ENDPOINT_URL_IVS" in caught.value.hint


def test_the_error_for_an_unknown_region_has_the_known_regions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The host name of such a region does not resolve."""
    set_aws_environment(monkeypatch, tmp_path)
    nowhere = Region("xx-nowhere-9")
    with (
        pytest.raises(IvsUnavailable) as caught,
        translate_errors("GetChannel", nowhere),
    ):
        raise EndpointConnectionError(endpoint_url="https://ivs.xx-nowhere-9.amazonaws.com/")
    assert "https://ivs.xx-nowhere-9.amazonaws.com/" in caught.value.detail
    assert "us-west-2" in caught.value.hint


def test_a_request_that_breaks_the_model_is_refused_before_it_is_sent(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Botocore checks the lengths in the model: an ARN has at least 1 character."""
    with faulty_server(FOUND) as server:
        set_aws_endpoint(monkeypatch, tmp_path, server.url)
        client = clients.ivs(OREGON)
        with pytest.raises(IvsRefused) as caught, translate_errors("GetChannel", OREGON):
            client.get_channel(arn="")
    assert type(caught.value) is InvalidParameters
    assert caught.value.aws_code == "ParamValidation"
    assert "GetChannel" in caught.value.detail
    assert server.requests == []


@pytest.mark.parametrize("fault", list(Fault))
def test_silence_and_a_dropped_line_are_unavailability(
    fault: Fault, clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The read timeout of 0.3 s ends a silence."""
    started = time.monotonic()
    with pytest.raises(IvsUnavailable, match=r"http://127\.0\.0\.1:"):
        get_url_from(fault, clients, monkeypatch, tmp_path)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"channel": {}},
        {"channel": None},
        {"channel": "public"},
        [1, 2],
        b"<html>Welcome to nginx!</html>",
        b"",
        b"\xff\xfe",
    ],
)
def test_an_answer_from_another_server_than_ivs_is_recognized(
    body: object, clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """HTTP 200 with an answer that IVS never returns: the endpoint is wrong."""
    with pytest.raises(IvsUnavailable, match="AWS_ENDPOINT_URL_IVS, AWS_ENDPOINT_URL"):
        get_url_from(Answer(200, body), clients, monkeypatch, tmp_path)


def test_botocore_makes_at_most_the_configured_number_of_attempts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With two attempts, one failure is retried, and a second failure is raised."""
    clients = AwsClients(AwsTerms(read_timeout_seconds=1, max_attempts=2))
    failure = refusal(503, "ServiceUnavailable")
    with faulty_server(failure, FOUND, failure) as server:
        set_aws_endpoint(monkeypatch, tmp_path, server.url)
        assert get_url(clients) == "https://example.net/c.m3u8"
        assert len(server.requests) == 2
        with pytest.raises(IvsUnavailable):
            get_url(clients)
        assert len(server.requests) == 4
    clients.close()


def test_calls_without_an_answer_are_sent_again_only_for_a_total_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """0.3 s of all attempts. Then a call is sent once, until one is answered."""
    clients = AwsClients(AwsTerms(read_timeout_seconds=0.2, max_attempts=9, patience_seconds=0.3))
    silent = Fault.NO_RESPONSE
    with faulty_server(silent, silent, silent, FOUND, silent, silent) as server:
        set_aws_endpoint(monkeypatch, tmp_path, server.url)
        for sent in (2, 3):
            with pytest.raises(IvsUnavailable):
                get_url(clients)
            assert len(server.requests) == sent
        assert get_url(clients) == "https://example.net/c.m3u8"
        with pytest.raises(IvsUnavailable):
            get_url(clients)
        assert len(server.requests) == 6
    clients.close()


def test_clients_can_be_used_again_after_close(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Closing ends the connections; the next call opens new ones."""
    with faulty_server(FOUND) as server:
        set_aws_endpoint(monkeypatch, tmp_path, server.url)
        get_url(clients)
        clients.close()
        assert get_url(clients) == "https://example.net/c.m3u8"
