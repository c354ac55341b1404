"""Sign with private keys that never leave AWS KMS, without any way to create or delete one.

Web workers use this module. `custody.kms` adds what creates and destroys private keys, and is
imported by commands and scheduled jobs only (rule 11).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tokensvc.arns import Region
from tokensvc.clock import Clock
from tokensvc.errors import (
    CustodyDamaged,
    CustodyDenied,
    CustodyUnusable,
    InvalidKeyMaterial,
    InvalidRequest,
    InvalidSignature,
)
from tokensvc.keyring.custody.aws_calls import KMS, LOST_HINT, AwsCalls
from tokensvc.keyring.custody.guarded_calls import GuardedCalls
from tokensvc.keyring.custody.key_ids import require_key_id
from tokensvc.keyring.signers import StoredKey
from tokensvc.token.p384 import PublicKey, Signer, der_to_raw

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_kms.type_defs import GetPublicKeyResponseTypeDef, KeyMetadataTypeDef

LONGEST_MESSAGE_BYTES: Final = 4_096
"""KMS signs a longer message only as a digest (AWS: Sign, Message)."""

KEY_SPEC: Final = "ECC_NIST_P384"
KEY_USAGE: Final = "SIGN_VERIFY"
_ENABLED: Final = "Enabled"
_ARN: Final = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+")


class KmsSigners:
    """Implements `SignerLoader` for the private keys in KMS in one region.

    Args:
        client: returns the client of the region; raises what boto3 raises.
        region: the region.
        clock: the clock for pauses while KMS fails.
    """

    def __init__(self, client: Callable[[], KMSClient], region: Region, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._calls = AwsCalls(KMS, region)
        self._guarded = GuardedCalls(self._calls, clock)

    def signer(self, key: StoredKey) -> Signer:
        """A signer of that private key, whose public key was compared with the recorded one.

        Each of its signatures is a call of KMS, which may wait and fail.

        Raises:
            CustodyDamaged: when KMS has no such key, or one that is not for ES384, or another one.
            CustodyUnusable: when it is disabled or scheduled for deletion.
            CustodyDenied: when these AWS credentials may not use it.
            CustodyUnavailable: when KMS can't be reached now.
        """
        require_key_id(key.key_id)
        arn = key_arn(key.handle, key.key_id)
        require_enabled(self._described(arn, key.key_id), key.key_id)
        public_key = self._public_key(arn, key.key_id)
        if public_key != key.public_key:
            raise CustodyDamaged(
                f"The private key of {key.key_id} does not match its public key: the recorded"
                f" fingerprint is {key.public_key.fingerprint}, and {arn} has"
                f" {public_key.fingerprint}.",
                hint=LOST_HINT,
            )
        return _KmsSigner(self._client, self._guarded, arn, public_key)

    def _described(self, kms_id: str, key_id: str) -> KeyMetadataTypeDef:
        """What KMS says about the key with that ARN or alias."""
        return self._guarded.call(
            "DescribeKey",
            f"the key {kms_id} of {key_id}",
            lambda: self._client().describe_key(KeyId=kms_id)["KeyMetadata"],
        )

    def _public_key(self, arn: str, key_id: str) -> PublicKey:
        """The public key of the KMS key, which must be for ES384."""
        usage, der = self._guarded.call(
            "GetPublicKey",
            f"the key {arn} of {key_id}",
            lambda: _usage_and_der(self._client().get_public_key(KeyId=arn)),
        )
        try:
            public_key = PublicKey.from_der(der)
        except InvalidKeyMaterial as exc:
            raise _wrong_kind(arn, key_id) from exc
        if usage != KEY_USAGE:
            raise _wrong_kind(arn, key_id)
        return public_key


class _KmsSigner:
    """Implements `RemoteSigner` with one KMS key."""

    def __init__(
        self,
        client: Callable[[], KMSClient],
        guarded: GuardedCalls,
        arn: str,
        public_key: PublicKey,
    ) -> None:
        self._client = client
        self._guarded = guarded
        self._arn = arn
        self._public_key = public_key

    @property
    def public_key(self) -> PublicKey:
        """The public key of the pair."""
        return self._public_key

    @property
    def is_failing(self) -> bool:
        """Whether KMS fails or does not answer."""
        return self._guarded.are_paused

    def sign(self, message: bytes) -> bytes:
        """96 bytes, r‖s, over SHA-384 of `message`. This waits for KMS, never on the event loop.

        Raises:
            InvalidRequest: when the message is longer than KMS signs.
            CustodyDamaged: when KMS no longer has the key, or answers with no signature.
            CustodyUnusable: when the key is disabled or scheduled for deletion.
            CustodyUnavailable: when KMS denies, throttles, fails or can't be reached.
        """
        if len(message) > LONGEST_MESSAGE_BYTES:
            raise InvalidRequest(
                f"AWS KMS signs at most {LONGEST_MESSAGE_BYTES} bytes, and this token has"
                f" {len(message)} bytes to sign. Name fewer origins."
            )
        der = self._guarded.call(
            "Sign",
            f"the key {self._arn}",
            # KMS itself hashes the message.
            lambda: self._client().sign(
                KeyId=self._arn,
                Message=message,
                MessageType="RAW",
                SigningAlgorithm="ECDSA_SHA_384",
            )["Signature"],
        )
        try:
            return der_to_raw(der)
        except InvalidSignature as exc:
            raise CustodyDamaged(
                f"{self._guarded.calls.where} answered Sign with no P-384 signature.",
                hint=f"Check {KMS.endpoint_variable} and any proxy.",
            ) from exc


def key_arn(handle: str | None, key_id: str) -> str:
    """The ARN of a KMS key, in a recorded handle.

    Raises:
        CustodyDenied: when the handle is of another custody.
    """
    if handle is None or not _ARN.fullmatch(handle):
        raise CustodyDenied(
            f"The private key of {key_id} is not in AWS KMS: it is recorded as"
            f" {handle or 'a file'}.",
            hint="Set custody.url to the custody in which this key pair was made.",
        )
    return handle


def require_enabled(described: KeyMetadataTypeDef, key_id: str) -> None:
    """Return if the KMS key can sign.

    Raises:
        CustodyUnusable: when it is disabled, scheduled for deletion or in another such state.
    """
    state = described.get("KeyState", _ENABLED)
    if state != _ENABLED:
        raise CustodyUnusable(
            f"The private key of {key_id} can't sign: AWS KMS has {described['Arn']} as {state}.",
            hint="If that was a mistake, run `aws kms cancel-key-deletion` if a deletion is pending"
            " and `aws kms enable-key`. Otherwise replace the key pair with"
            f" `tokensvc keys revoke {key_id}`.",
        )


def _usage_and_der(answer: GetPublicKeyResponseTypeDef) -> tuple[str, bytes]:
    return answer["KeyUsage"], answer["PublicKey"]


def _wrong_kind(arn: str, key_id: str) -> CustodyDamaged:
    return CustodyDamaged(
        f"{arn}, the key of {key_id}, is not an {KEY_SPEC} key for {KEY_USAGE}.",
        hint="Delete the alias if you made it. tokensvc makes the keys that it needs.",
    )
