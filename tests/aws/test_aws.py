"""boto3 against a server that fails in every way AWS can: which error of ours, and its way out."""

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
from tokensvc.aws import AwsClients, AwsTerms, endpoint_of, translated
from tokensvc.errors import IvsRefused, IvsUnavailable, NotFound

OREGON = Region("us-west-2")
CHANNEL = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
ONE_TRY = AwsTerms(connect_timeout_seconds=0.5, read_timeout_seconds=0.3, max_attempts=1)
FOUND = Answer(200, {"channel": {"arn": str(CHANNEL), "playbackUrl": "https://example.net/c.m3u8"}})


@pytest.fixture
def clients() -> Iterator[AwsClients]:
    """Clients that try once and wait 0.3 s at most."""
    clients = AwsClients(ONE_TRY)
    yield clients
    clients.close()


def ask(clients: AwsClients) -> str:
    """Ask for the channel as the rooms above do; its playback URL."""
    client = clients.ivs(OREGON)
    with translated("GetChannel", OREGON):
        return client.get_channel(arn=str(CHANNEL))["channel"]["playbackUrl"]


def ask_of(
    script: Answer | Fault, clients: AwsClients, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> FaultyServer:
    """Ask a server with that script; the error passes through."""
    with faulty_server(script) as server:
        set_aws_endpoint(monkeypatch, folder, server.url)
        ask(clients)
    return server


def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_a_client_talks_to_the_endpoint_of_the_environment_and_says_who_it_is(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """AWS_ENDPOINT_URL_IVS decides; the user agent names tokensvc."""
    with faulty_server(FOUND) as server:
        set_aws_endpoint(monkeypatch, tmp_path, server.url)
        assert ask(clients) == "https://example.net/c.m3u8"
        assert endpoint_of(clients.ivs(OREGON)) == server.url
    assert server.operations == ["GetChannel"]
    assert "tokensvc" in server.requests[0].user_agent


def test_without_an_endpoint_in_the_environment_a_region_has_its_own(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each region's client talks to that region, and is made once."""
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
        (429, ""),
        (500, "InternalServerException"),
        (503, "ServiceUnavailable"),
        (502, ""),
    ],
)
def test_throttling_and_failures_of_ivs_are_unavailability(
    status: int, code: str, clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """429 under any name and 5xx pass by themselves."""
    with pytest.raises(IvsUnavailable, match="Try again") as caught:
        ask_of(refusal(status, code), clients, monkeypatch, tmp_path)
    assert caught.value.retry_after_seconds == 5
    assert "GetChannel" in caught.value.detail
    assert "us-west-2" in caught.value.detail


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        (403, "AccessDeniedException", "the action ivs:GetChannel"),
        (403, "PendingVerification", "AWS Support"),
        (402, "ServiceQuotaExceededException", "Delete one"),
        (409, "ConflictException", "what IVS holds"),
        (400, "ValidationException", "Check what was asked"),
        (404, "", "AWS_ENDPOINT_URL_IVS"),
    ],
)
def test_refusals_of_ivs_keep_their_code_and_name_the_way_out(
    status: int,
    code: str,
    hint: str,
    clients: AwsClients,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The code decides, since botocore finds no message in `exceptionMessage`."""
    with pytest.raises(IvsRefused) as caught:
        ask_of(refusal(status, code), clients, monkeypatch, tmp_path)
    assert caught.value.aws_code == (code or "404")
    assert hint in caught.value.hint


def test_an_import_that_is_denied_names_the_tagging_action_too() -> None:
    """Tags on creation need ivs:TagResource."""
    error = ClientError(
        {"Error": {"Code": "AccessDeniedException"}, "ResponseMetadata": {"HTTPStatusCode": 403}},  # type: ignore[typeddict-item]  # the rest says nothing here
        "ImportPlaybackKeyPair",
    )
    with (
        pytest.raises(IvsRefused, match="ivs:ImportPlaybackKeyPair and ivs:TagResource"),
        translated("ImportPlaybackKeyPair", OREGON),
    ):
        raise error


def test_what_ivs_said_is_kept_for_the_log_and_out_of_our_words(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The cause carries IVS's sentence as a note; detail and way out do not repeat it."""
    answer = refusal(400, "ValidationException", "Request member: arn failed")
    with pytest.raises(IvsRefused) as caught:
        ask_of(answer, clients, monkeypatch, tmp_path)
    assert caught.value.__cause__ is not None
    assert caught.value.__cause__.__notes__ == ["IVS says: Request member: arn failed"]
    assert "Request member" not in str(caught.value)


def test_what_ivs_does_not_know_is_not_found(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """ResourceNotFoundException is the one refusal with an error of its own."""
    with pytest.raises(NotFound, match="its region and its account"):
        ask_of(refusal(404, "ResourceNotFoundException"), clients, monkeypatch, tmp_path)


@pytest.mark.parametrize(
    "code",
    [
        "ExpiredTokenException",
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
    ],
)
def test_credentials_that_aws_turns_down_are_named_as_the_reason(
    code: str, clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Expired or wrong credentials: renew them, and look at the clock."""
    with pytest.raises(IvsUnavailable, match="credentials") as caught:
        ask_of(refusal(403, code), clients, monkeypatch, tmp_path)
    assert caught.value.hint == (
        "Renew them, check the secret key, and check this machine's clock."
    )


def test_missing_credentials_are_said_and_found_once_they_are_there(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The path after the failure: credentials written meanwhile serve the next call."""
    with faulty_server(FOUND) as server:
        set_aws_environment(monkeypatch, tmp_path, AWS_ENDPOINT_URL_IVS=server.url)
        with pytest.raises(IvsUnavailable, match="no AWS credentials") as caught:
            ask(clients)
        assert "AWS_ACCESS_KEY_ID" in caught.value.hint
        (tmp_path / "no-credentials").write_text(
            "[default]\naws_access_key_id = example\naws_secret_access_key = example\n"
        )
        assert ask(clients) == "https://example.net/c.m3u8"
    assert server.operations == ["GetChannel"]


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_PROFILE": "nobody"},
        {"AWS_ACCESS_KEY_ID": "half"},
    ],
)
def test_credentials_that_cannot_be_used_point_to_profile_and_files(
    variables: dict[str, str],
    clients: AwsClients,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """An unknown profile, or a key ID without its secret."""
    set_aws_environment(monkeypatch, tmp_path, **variables)
    with pytest.raises(IvsUnavailable, match="can't be used") as caught:
        ask(clients)
    assert "AWS_PROFILE" in caught.value.hint


def test_an_endpoint_that_is_no_url_points_to_its_variable(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A typing error in AWS_ENDPOINT_URL_IVS."""
    set_aws_endpoint(monkeypatch, tmp_path, "localhost 8001")
    with pytest.raises(IvsUnavailable, match="AWS_ENDPOINT_URL_IVS"):
        ask(clients)


def test_nobody_listening_is_unreachable_with_the_address(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The operator reads which address was tried."""
    endpoint_url = f"http://127.0.0.1:{closed_port()}"
    set_aws_endpoint(monkeypatch, tmp_path, endpoint_url)
    with pytest.raises(IvsUnavailable, match="can't be reached") as caught:
        ask(clients)
    assert endpoint_url in caught.value.detail
    assert "Check the network" in caught.value.hint


def test_a_region_that_ivs_is_not_in_is_named_with_those_that_it_is_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Such a region's host name does not resolve."""
    set_aws_environment(monkeypatch, tmp_path)
    nowhere = Region("xx-nowhere-9")
    with (
        pytest.raises(IvsUnavailable, match="no IVS in xx-nowhere-9") as caught,
        translated("GetChannel", nowhere),
    ):
        raise EndpointConnectionError(endpoint_url="https://ivs.xx-nowhere-9.amazonaws.com/")
    assert "us-west-2" in caught.value.hint


def test_a_request_that_breaks_the_model_is_refused_before_it_is_sent(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Botocore checks lengths: 129 characters are too many for an ARN's... minimum of 1 too few."""
    with faulty_server(FOUND) as server:
        set_aws_endpoint(monkeypatch, tmp_path, server.url)
        client = clients.ivs(OREGON)
        with pytest.raises(IvsRefused, match="not sent"), translated("GetChannel", OREGON):
            client.get_channel(arn="")
    assert server.requests == []


@pytest.mark.parametrize("fault", list(Fault))
def test_silence_and_a_dropped_line_are_unavailability(
    fault: Fault, clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The read time-out of 0.3 s ends a silence."""
    started = time.monotonic()
    with pytest.raises(IvsUnavailable, match="in time"):
        ask_of(fault, clients, monkeypatch, tmp_path)
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
def test_an_answer_of_something_else_than_ivs_is_recognised(
    body: object, clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """HTTP 200 with what IVS never says: the endpoint is wrong."""
    with pytest.raises(IvsUnavailable, match="not Amazon IVS"):
        ask_of(Answer(200, body), clients, monkeypatch, tmp_path)


def test_botocore_tries_again_up_to_the_number_of_attempts_and_no_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two attempts: one failure is survived, a second is told."""
    clients = AwsClients(AwsTerms(read_timeout_seconds=1, max_attempts=2))
    failure = refusal(503, "ServiceUnavailable")
    with faulty_server(failure, FOUND, failure) as server:
        set_aws_endpoint(monkeypatch, tmp_path, server.url)
        assert ask(clients) == "https://example.net/c.m3u8"
        assert len(server.requests) == 2
        with pytest.raises(IvsUnavailable):
            ask(clients)
        assert len(server.requests) == 4
    clients.close()


def test_clients_that_were_closed_are_made_anew(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Closing lets go of connections, not of the ability to call."""
    with faulty_server(FOUND) as server:
        set_aws_endpoint(monkeypatch, tmp_path, server.url)
        ask(clients)
        clients.close()
        assert ask(clients) == "https://example.net/c.m3u8"
