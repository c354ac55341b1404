"""Load signers from AWS Secrets Manager, without any way to create or delete a secret.

Web workers use this module. `custody.secrets_manager` adds what creates, adopts and destroys
private keys, and is imported by commands and scheduled jobs only (rule 11).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import BaseModel, ConfigDict, ValidationError

from tokensvc.arns import Region
from tokensvc.clock import Clock
from tokensvc.errors import CustodyDamaged, CustodyDenied
from tokensvc.keyring.custody.aws_calls import LOST_HINT, SECRETS_MANAGER, AwsCalls
from tokensvc.keyring.custody.guarded_calls import GuardedCalls
from tokensvc.keyring.custody.key_ids import require_key_id
from tokensvc.keyring.signers import StoredKey
from tokensvc.token.p384 import LocalSigner, PublicKey, Signer

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_secretsmanager.type_defs import GetSecretValueResponseTypeDef

_HANDLE: Final = re.compile(r"(arn:aws[a-z-]*:secretsmanager:[^#\s]+)#([A-Za-z0-9-]{32,64})")


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """One version of a secret, which AWS never changes. Its text is the handle of a private key.

    Attributes:
        arn: the ARN of the secret. A secret that is made again with its name has another one.
        version_id: the VersionId.
    """

    arn: str
    version_id: str

    @classmethod
    def parse(cls, handle: str | None, key_id: str) -> Self:
        """The version in a recorded handle.

        Raises:
            CustodyDenied: when the handle is of another custody.
        """
        match = _HANDLE.fullmatch(handle or "")
        if match is None:
            raise CustodyDenied(
                f"The private key of {key_id} is not in AWS Secrets Manager: it is recorded as"
                f" {handle or 'a file'}.",
                hint="Set custody.url to the custody in which this key pair was made.",
            )
        return cls(match[1], match[2])

    def __str__(self) -> str:
        return f"{self.arn}#{self.version_id}"


class SecretSigners:
    """Implements `SignerLoader` for the private keys in Secrets Manager in one region.

    Each is fetched when its signer is loaded, and is then in memory alone.

    Args:
        client: returns the client of the region; raises what boto3 raises.
        region: the region.
        clock: the clock for pauses while Secrets Manager fails.
    """

    def __init__(
        self, client: Callable[[], SecretsManagerClient], region: Region, clock: Clock
    ) -> None:
        self._client = client
        self._clock = clock
        self._calls = AwsCalls(SECRETS_MANAGER, region)
        self._guarded = GuardedCalls(self._calls, clock)

    def signer(self, key: StoredKey) -> Signer:
        """A signer of that private key, whose public key was compared with the recorded one.

        It keeps the private key in memory, and can still sign when Secrets Manager fails.

        Raises:
            CustodyDamaged: when the secret is missing, damaged or of another key pair.
            CustodyUnusable: when it is scheduled for deletion.
            CustodyDenied: when these AWS credentials may not read it.
            CustodyUnavailable: when Secrets Manager can't be reached now.
        """
        require_key_id(key.key_id)
        version = SecretVersion.parse(key.handle, key.key_id)
        about = f"the secret {version.arn} of {key.key_id}"
        answer = self._guarded.call(
            "GetSecretValue",
            about,
            lambda: self._client().get_secret_value(
                SecretId=version.arn, VersionId=version.version_id
            ),
        )
        signer = LocalSigner(private_key_of(answer, key.key_id))
        if signer.public_key != key.public_key:
            raise mismatch(key.key_id, signer.public_key, key.public_key)
        return signer


def secret_text(key_id: str, private_key: ec.EllipticCurvePrivateKey) -> str:
    """The text of a secret: JSON with the private key as PKCS#8 PEM, and what it is for."""
    pem = private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    public_key = PublicKey.of(private_key.public_key())
    return _Secret(
        key_id=key_id, public_key_fingerprint=public_key.fingerprint, private_key=pem
    ).model_dump_json()


def private_key_of(
    answer: GetSecretValueResponseTypeDef, key_id: str
) -> ec.EllipticCurvePrivateKey:
    """The private key in an answer to GetSecretValue.

    Raises:
        CustodyDamaged: when the secret has no P-384 private key in the form that tokensvc writes,
            or the one of another key ID.
    """
    try:
        secret = _Secret.model_validate_json(answer.get("SecretString") or "")
        key = serialization.load_pem_private_key(secret.private_key.encode(), password=None)
    except (ValidationError, ValueError, TypeError):
        # Without its cause, whose text may have a part of the secret.
        raise _damaged(key_id, "it is not what tokensvc writes") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP384R1):
        raise _damaged(key_id, "its key is not a P-384 key")
    if secret.key_id != key_id:
        raise _damaged(key_id, f"it is the private key of {secret.key_id}")
    if secret.public_key_fingerprint != PublicKey.of(key.public_key()).fingerprint:
        raise _damaged(key_id, "its fingerprint is not that of its private key")
    return key


def mismatch(key_id: str, found: PublicKey, expected: PublicKey) -> CustodyDamaged:
    """The error when a secret has the private key of another key pair than the recorded one."""
    return CustodyDamaged(
        f"The private key of {key_id} does not match its public key: the recorded fingerprint is"
        f" {expected.fingerprint}, the fingerprint of the secret is {found.fingerprint}.",
        hint=LOST_HINT,
    )


def _damaged(key_id: str, reason: str) -> CustodyDamaged:
    return CustodyDamaged(
        f"The secret of {key_id} in AWS Secrets Manager is damaged: {reason}.", hint=LOST_HINT
    )


class _Secret(BaseModel):
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    key_id: str
    public_key_fingerprint: str
    private_key: str
