from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
from joserfc import jws
from joserfc.errors import BadSignatureError
from joserfc.jwk import ECKey

from tokensvc import (
    ChannelArn,
    LocalSigner,
    PlaybackClaims,
    PlaybackOptions,
    PublicKey,
    Resolution,
    sign,
)
from tokensvc.errors import CustodyUnavailable, InvalidRequest
from tokensvc.token.jws import read, verify

PROJECT = Path(__file__).parents[3]
NOW = 1_800_000_000.0
CHANNEL = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
CLAIMS = PlaybackClaims.at(NOW, CHANNEL, PlaybackOptions(ttl_seconds=300))
ALL_CLAIMS = PlaybackClaims.at(
    NOW,
    CHANNEL,
    PlaybackOptions(540, ("https://a.example",), True, True, Resolution.FULL_HD),  # noqa: FBT003 -- all options
    "zuschauer-ä-🎥",
)

# None in sys.modules makes an import fail as if the package were not installed.
WITHOUT_FLASK_AND_BOTO3 = """
import sys
for missing in ("flask", "werkzeug", "boto3", "botocore", "gunicorn", "pydantic", "click"):
    sys.modules[missing] = None
import tokensvc
arn = tokensvc.ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
claims = tokensvc.PlaybackClaims.at(1_800_000_000, arn, tokensvc.PlaybackOptions(ttl_seconds=300))
signer = tokensvc.LocalSigner.generate()
print(signer.public_key.pem)
print(tokensvc.sign(claims, signer))
"""


class UnavailableKmsSigner:
    """A signer whose custody does not answer."""

    @property
    def public_key(self) -> PublicKey:
        """A public key, which is known even while the custody does not answer."""
        return LocalSigner.generate().public_key

    def sign(self, message: bytes) -> bytes:
        """Fail like a custody that can't be reached."""
        raise CustodyUnavailable(f"KMS did not sign {len(message)} bytes.")


def segment(token: str, number: int) -> bytes:
    """The decoded bytes of one of the token's three segments."""
    text = token.split(".")[number]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_header_is_the_documented_header_byte_for_byte() -> None:
    """No kid, the same order, no spaces (IVS: private-channels-generate-tokens)."""
    token = sign(CLAIMS, LocalSigner.generate())
    assert segment(token, 0) == b'{"alg":"ES384","typ":"JWT"}'


def test_the_payload_is_compact_json_of_the_claims() -> None:
    """`exp` is a number, and no claims such as iat or jti are added."""
    assert segment(sign(CLAIMS, LocalSigner.generate()), 1) == (
        b'{"aws:channel-arn":"arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl",'
        b'"exp":1800000300}'
    )


def test_another_jose_library_verifies_the_token_with_the_signing_key_only() -> None:
    """PyJWT and joserfc share no code. With another key, joserfc refuses the token."""
    signer, other = LocalSigner.generate(), LocalSigner.generate()
    token = sign(ALL_CLAIMS, signer)
    verified = jws.deserialize_compact(
        token, ECKey.import_key(signer.public_key.pem), algorithms=["ES384"]
    )
    assert json.loads(verified.payload or b"") == ALL_CLAIMS.payload()
    with pytest.raises(BadSignatureError):
        jws.deserialize_compact(token, ECKey.import_key(other.public_key.pem), algorithms=["ES384"])


def test_verify_returns_the_key_that_signed_a_new_token() -> None:
    """sign, read and verify work together."""
    old, new = LocalSigner.generate(), LocalSigner.generate()
    token = sign(ALL_CLAIMS, new)
    assert read(token).payload == ALL_CLAIMS.payload()
    assert verify(token, [old.public_key, new.public_key]) == new.public_key


def test_a_token_of_2048_bytes_is_signed_and_a_longer_one_is_refused() -> None:
    """The refusal names the origins, the only claim that can be so long, and the size.

    2,048 = 36 (header) + 1 + 1,882 (base64url of 1,411 bytes) + 1 + 128 (signature).
    """
    without_host = PlaybackClaims.at(NOW, CHANNEL, PlaybackOptions(300, ("https://x",))).payload()
    host_bytes = 1_411 - len(json.dumps(without_host, separators=(",", ":"))) + 1

    def with_host_of(characters: int) -> PlaybackClaims:
        return PlaybackClaims.at(
            NOW, CHANNEL, PlaybackOptions(300, ("https://" + "x" * characters,))
        )

    signer = LocalSigner.generate()
    assert len(sign(with_host_of(host_bytes), signer)) == 2_048
    with pytest.raises(InvalidRequest, match="2049") as refusal:
        sign(with_host_of(host_bytes + 1), signer)
    (problem,) = refusal.value.problems
    assert (problem.field, problem.rule) == ("allowed_origins", "token_size")


def test_the_error_of_an_unavailable_custody_is_raised() -> None:
    """The error is not changed, and another signer still signs."""
    with pytest.raises(CustodyUnavailable, match="KMS did not sign"):
        sign(CLAIMS, UnavailableKmsSigner())
    signer = LocalSigner.generate()
    assert verify(sign(CLAIMS, signer), [signer.public_key]) == signer.public_key


def test_the_public_names_sign_where_flask_and_boto3_are_not_installed() -> None:
    """A program that only signs needs neither the service nor the AWS SDK."""
    printed = subprocess.run(
        [sys.executable, "-c", WITHOUT_FLASK_AND_BOTO3],
        cwd=PROJECT,
        capture_output=True,
        check=True,
        timeout=60,
        text=True,
    ).stdout
    pem, _, token = printed.strip().rpartition("\n")
    assert verify(token, [PublicKey.from_pem(pem)]) == PublicKey.from_pem(pem)
