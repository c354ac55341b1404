"""Call the verifier alone, for one channel and with one imported key pair."""

from __future__ import annotations

import pytest
from edge.stage import NOW, KeyPair
from local_ivs.edge.refusals import Reason, TokenRefusedError
from local_ivs.edge.verifier import Admission, verify

ARN = "arn:aws:ivs:eu-west-1:123456789012:channel/abcdEFGH1234"
PAIR = KeyPair()
OTHER_PAIR = KeyPair()


def verify_token(
    token: str | None, now: float = NOW, keys: tuple[KeyPair, ...] = (PAIR,)
) -> Admission:
    """Verify the token for channel `ARN`, with these imported key pairs."""
    return verify(
        token, channel_arn=ARN, public_keys=tuple(key.public_pem for key in keys), now=now
    )


def refusal_reason(
    token: str | None, now: float = NOW, keys: tuple[KeyPair, ...] = (PAIR,)
) -> Reason:
    """The reason for which the verifier refuses the token. Fails if the token is accepted."""
    with pytest.raises(TokenRefusedError) as refused:
        verify_token(token, now, keys)
    assert refused.value.error_code == "invalid_playback_auth_token"
    return refused.value.reason
