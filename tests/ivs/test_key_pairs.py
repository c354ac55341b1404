"""Playback key pairs when IVS fails; test_against_local_ivs.py tests them without failures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.aws import set_aws_endpoint
from tests.support.faulty_server import Answer, Fault, FaultyServer, refusal
from tokensvc.arns import PlaybackKeyArn, Region
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.errors import IvsRefused, IvsUnavailable, NotFound
from tokensvc.ivs.key_pairs import IvsKeyPairs
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.token.p384 import LocalSigner

FIRST = PlaybackKeyArn.parse("arn:aws:ivs:us-west-2:123456789012:playback-key/first")
SECOND = PlaybackKeyArn.parse("arn:aws:ivs:us-west-2:123456789012:playback-key/second")
FINGERPRINT = "98:0d:1a:a0:19:96:1e:ea:0a:0a:2c:9a:42:19:2b:e7"


@pytest.fixture
def key_pairs() -> Iterator[IvsKeyPairs]:
    """The region's key pairs; one attempt for each call, at most 0.3 s."""
    clients = AwsClients(AwsTerms(read_timeout_seconds=1.0, max_attempts=1))
    yield IvsKeyPairs(clients, Region("us-west-2"))
    clients.close()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Serve]:
    """Starts a server with a script, at the endpoint that boto3 uses."""
    started: list[FaultyServer] = []

    def start(*script: Answer | Fault) -> FaultyServer:
        server = FaultyServer(script)
        server.start()
        started.append(server)
        set_aws_endpoint(monkeypatch, tmp_path, server.url)
        return server

    yield start
    for server in started:
        server.close()


Serve = Callable[..., FaultyServer]


def listed(*arns: PlaybackKeyArn, next_token: str | None = None) -> Answer:
    """A page of ListPlaybackKeyPairs."""
    page: dict[str, object] = {"keyPairs": [{"arn": str(arn), "name": "n"} for arn in arns]}
    return Answer(200, page | ({"nextToken": next_token} if next_token else {}))


def described(arn: PlaybackKeyArn) -> Answer:
    """An answer of GetPlaybackKeyPair or ImportPlaybackKeyPair."""
    pair = {"arn": str(arn), "name": "n", "fingerprint": FINGERPRINT, "tags": {"team": "video"}}
    return Answer(200, {"keyPair": pair})


def held(arn: PlaybackKeyArn) -> HeldKeyPair:
    """The key pair that `described` describes."""
    return HeldKeyPair(arn, "n", FINGERPRINT, {"team": "video"})


def test_every_page_is_read_and_every_key_pair_is_fetched(
    key_pairs: IvsKeyPairs, serve: Serve
) -> None:
    """Two pages, and one call for each key pair, because the list has no fingerprints."""
    server = serve(
        listed(FIRST, next_token="more"), listed(SECOND), described(FIRST), described(SECOND)
    )
    assert key_pairs.held() == (held(FIRST), held(SECOND))
    assert server.operations == [
        "ListPlaybackKeyPairs",
        "ListPlaybackKeyPairs",
        "GetPlaybackKeyPair",
        "GetPlaybackKeyPair",
    ]
    assert server.requests[1].body["nextToken"] == "more"


def test_a_key_pair_that_is_deleted_between_list_and_get_is_left_out(
    key_pairs: IvsKeyPairs, serve: Serve
) -> None:
    """Another process has deleted it."""
    serve(listed(FIRST, SECOND), refusal(404, "ResourceNotFoundException"), described(SECOND))
    assert key_pairs.held() == (held(SECOND),)


def test_a_failed_get_never_looks_like_a_deleted_key_pair(
    key_pairs: IvsKeyPairs, serve: Serve
) -> None:
    """If the second call is throttled, the whole listing fails: it is never incomplete."""
    serve(listed(FIRST, SECOND), described(FIRST), refusal(429, "ThrottlingException"))
    with pytest.raises(IvsUnavailable, match="GetPlaybackKeyPair"):
        key_pairs.held()


def test_an_import_sends_the_public_key_as_pem_with_its_name_and_tags(
    key_pairs: IvsKeyPairs, serve: Serve
) -> None:
    """And returns the key pair that IVS created."""
    server = serve(described(FIRST))
    public_key = LocalSigner.generate().public_key
    pair = key_pairs.import_pair(public_key, name="spring", tags={"team": "video"})
    assert pair == held(FIRST)
    assert server.requests[0].body == {
        "publicKeyMaterial": public_key.pem,
        "name": "spring",
        "tags": {"team": "video"},
    }


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (402, "ServiceQuotaExceededException"),
        (409, "ConflictException"),
        (403, "PendingVerification"),
        (403, "AccessDeniedException"),
        (400, "ValidationException"),
    ],
)
def test_a_refused_import_keeps_the_code_of_ivs(
    status: int, code: str, key_pairs: IvsKeyPairs, serve: Serve
) -> None:
    """The rotator's next step depends on it."""
    serve(refusal(status, code))
    with pytest.raises(IvsRefused) as caught:
        key_pairs.import_pair(LocalSigner.generate().public_key, name="", tags={})
    assert caught.value.aws_code == code


def test_an_import_whose_answer_was_lost_is_unavailability(
    key_pairs: IvsKeyPairs, serve: Serve
) -> None:
    """It is unknown whether IVS created the key pair."""
    serve(Fault.DROPPED_CONNECTION)
    with pytest.raises(IvsUnavailable):
        key_pairs.import_pair(LocalSigner.generate().public_key, name="", tags={})


def test_deleting_a_deleted_key_pair_succeeds(key_pairs: IvsKeyPairs, serve: Serve) -> None:
    """A delete can be repeated."""
    server = serve(refusal(404, "ResourceNotFoundException"))
    key_pairs.delete(FIRST)
    assert server.requests[0].body == {"arn": str(FIRST)}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (refusal(403, "AccessDeniedException"), IvsRefused),
        (refusal(429, "TooManyRequestsException"), IvsUnavailable),
        (Fault.NO_RESPONSE, IvsUnavailable),
    ],
)
def test_a_delete_that_ivs_did_not_confirm_fails(
    fault: Answer | Fault, error: type[Exception], key_pairs: IvsKeyPairs, serve: Serve
) -> None:
    """Rule 8: a private key is destroyed only after IVS has confirmed the delete."""
    serve(fault)
    with pytest.raises(error):
        key_pairs.delete(FIRST)


def test_a_key_pair_that_ivs_does_not_hold_is_not_found(
    key_pairs: IvsKeyPairs, serve: Serve
) -> None:
    """IVS answers 404."""
    serve(refusal(404, "ResourceNotFoundException"))
    with pytest.raises(NotFound):
        key_pairs.get(FIRST)


def test_the_endpoint_is_the_url_of_the_calls(key_pairs: IvsKeyPairs, serve: Serve) -> None:
    """The ring is bound to it."""
    server = serve(listed())
    assert key_pairs.endpoint == server.url
    assert key_pairs.held() == ()
