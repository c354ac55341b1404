"""The verifier by itself: an edge that holds one key pair, asked about one channel."""

from __future__ import annotations

import pytest

from tests.localivs.edge.stage import NOW, KeyPair
from tokensvc.localivs.edge.refusals import Reason, TokenRefusedError
from tokensvc.localivs.edge.verifier import Admission, verify

ARN = "arn:aws:ivs:eu-west-1:123456789012:channel/abcdEFGH1234"
PAIR = KeyPair()
OTHER_PAIR = KeyPair()


def judge(token: str | None, now: float = NOW, keys: tuple[KeyPair, ...] = (PAIR,)) -> Admission:
    """The verdict of an edge that holds these keys."""
    return verify(
        token, channel_arn=ARN, public_keys=tuple(key.public_pem for key in keys), now=now
    )


def refusal_of(token: str | None, now: float = NOW, keys: tuple[KeyPair, ...] = (PAIR,)) -> Reason:
    """Why the edge refuses the token; the test fails when it doesn't."""
    with pytest.raises(TokenRefusedError) as refused:
        judge(token, now, keys)
    assert refused.value.error_code == "invalid_playback_auth_token"
    return refused.value.reason
