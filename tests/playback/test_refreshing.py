"""Which tokens can be refreshed, as pure rules over real signatures."""

from __future__ import annotations

import base64
import hmac
import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensvc.arns import ChannelArn
from tokensvc.errors import InvalidRequest
from tokensvc.playback.refreshing import session_version
from tokensvc.token.claims import PlaybackClaims, PlaybackOptions
from tokensvc.token.jws import sign
from tokensvc.token.p384 import LocalSigner

ARN = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
OTHER_ARN = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/otherOTHER00")
NOW = 1_800_000_000.5
DAY = 86_400
ACTIVE, STANDBY, FOREIGN = (LocalSigner.generate() for _ in range(3))
KEYS = [ACTIVE.public_key, STANDBY.public_key]
VIEWERS = ("viewer-1", "viewer-2", "viewer-10")


def token_of(
    signer: LocalSigner = ACTIVE,
    arn: ChannelArn = ARN,
    viewer_id: str | None = "viewer-1",
    version: int = int(NOW),
) -> str:
    """A token that expired long ago or not, signed 300 s before it expires."""
    claims = PlaybackClaims.at(version, arn, PlaybackOptions(300), viewer_id)
    return sign(claims, signer)


def refused(token: str, viewer_id: str | None = "viewer-1") -> InvalidRequest:
    """The refusal of that token."""
    with pytest.raises(InvalidRequest) as refusal:
        session_version(token, KEYS, channel_arn=ARN, viewer_id=viewer_id, now=NOW)
    return refusal.value


@given(
    signer=st.sampled_from([ACTIVE, STANDBY, FOREIGN]),
    arn=st.sampled_from([ARN, OTHER_ARN]),
    viewer_id=st.sampled_from(VIEWERS),
    requested=st.sampled_from(VIEWERS),
    age=st.integers(-10, 2 * DAY) | st.sampled_from([DAY - 1, DAY, DAY + 1]),
)
def test_a_token_is_refreshed_exactly_if_it_is_ours_and_for_the_same_viewing(
    signer: LocalSigner, arn: ChannelArn, viewer_id: str, requested: str, age: int
) -> None:
    """By one of our keys, for this channel and viewer, of a session under 24 hours old."""
    version = int(NOW) - age
    token = token_of(signer, arn, viewer_id, version)
    is_ours = signer is not FOREIGN
    if is_ours and arn == ARN and viewer_id == requested and age < DAY:
        kept = session_version(token, KEYS, channel_arn=ARN, viewer_id=requested, now=NOW)
        assert kept == version
    else:
        assert refused(token, requested).problems == refused("not a token").problems


@given(position=st.integers(0, 10_000), character=st.characters())
def test_a_changed_token_is_not_refreshed(position: int, character: str) -> None:
    """Whatever is changed, and with the same words as for any other token."""
    token = token_of()
    position %= len(token)
    changed = token[:position] + character + token[position + 1 :]
    if changed != token:
        assert refused(changed).problems == refused("not a token").problems


def payload(**changes: Any) -> dict[str, Any]:
    """The claims of a token, changed; None removes one."""
    claims = {
        "aws:channel-arn": str(ARN),
        "aws:viewer-id": "viewer-1",
        "aws:viewer-session-version": int(NOW),
        "exp": int(NOW) + 300,
    }
    changed = claims | {
        name.replace("__", ":").replace("_", "-"): changes[name] for name in changes
    }
    return {name: value for name, value in changed.items() if value is not None}


@pytest.mark.parametrize(
    "claims",
    [
        payload(aws__viewer_session_version=None),
        payload(aws__viewer_session_version=True),
        payload(aws__viewer_session_version=str(int(NOW))),
        payload(aws__viewer_session_version=float(int(NOW))),
        payload(aws__viewer_session_version=0),
        payload(aws__viewer_id=None),
        payload(aws__viewer_id=["viewer-1"]),
        payload(aws__channel_arn=None),
    ],
)
def test_another_program_with_our_key_can_sign_what_is_not_refreshed(claims: Any) -> None:
    """An adopted key pair may have signed tokens that have no version, or one that is no time."""

    class Raw:
        """Claims that are signed as they are."""

        def payload(self) -> Any:
            return claims

    token = sign(Raw(), ACTIVE)  # type: ignore[arg-type] # Only its payload is used.
    assert [problem.rule for problem in refused(token).problems] == ["refresh_of"]


@pytest.mark.parametrize("algorithm", ["HS384", "none", "ES384"])
def test_the_public_key_is_not_taken_for_a_secret(algorithm: str) -> None:
    """The confusion of algorithms: an HMAC by what everyone knows, or nothing."""
    parts = [json.dumps(part).encode() for part in ({"alg": algorithm, "typ": "JWT"}, payload())]
    text = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    mac = hmac.digest(ACTIVE.public_key.pem.encode(), text.encode(), "sha384")
    signature = b"" if algorithm == "none" else mac + mac
    token = f"{text}.{base64.urlsafe_b64encode(signature).decode()}"
    assert [problem.rule for problem in refused(token).problems] == ["refresh_of"]


def test_a_token_without_a_viewer_belongs_to_no_session() -> None:
    """Neither in the request nor in the token."""
    (problem,) = refused(token_of(), viewer_id=None).problems
    assert (problem.field, problem.rule) == ("viewer_id", "refresh_viewer_id")
    (problem,) = refused(token_of(viewer_id=None)).problems
    assert (problem.field, problem.rule) == ("refresh_of", "refresh_of")


def test_the_claims_keep_the_version() -> None:
    """And nothing else of the session: `exp` and the UUID are new."""
    version = int(NOW) - 1_000
    claims = PlaybackClaims.at(
        NOW,
        ARN,
        PlaybackOptions(300, single_use=True),
        "viewer-1",
        session_version=version,
        new_uuid=lambda: uuid.UUID(int=5),
    )
    assert claims.payload() == {
        "aws:channel-arn": str(ARN),
        "aws:single-use-uuid": str(uuid.UUID(int=5)),
        "aws:viewer-id": "viewer-1",
        "aws:viewer-session-version": version,
        "exp": int(NOW) + 300,
    }
