"""Claims at `EXAMPLE_NOW`, and the verifier alone, with one channel and one imported key pair."""

from __future__ import annotations

from typing import Any

import pytest

from local_ivs import testing
from local_ivs.edge.refusals import Reason, TokenRefusedError
from local_ivs.edge.verifier import Admission, verify
from local_ivs.testing import EXAMPLE_NOW, KeyPair

NOW = int(EXAMPLE_NOW)
ARN = "arn:aws:ivs:eu-west-1:123456789012:channel/abcdEFGH1234"
PAIR = KeyPair()
OTHER_PAIR = KeyPair()


def claims(channel_arn: str, **more: Any) -> dict[str, Any]:
    """The claims of a token that expires 300 s after `NOW`, and more claims."""
    return testing.claims(channel_arn, NOW, **more)


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
