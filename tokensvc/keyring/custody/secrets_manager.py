"""A custody in AWS Secrets Manager: each private key is a secret of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from tokensvc.arns import Region
from tokensvc.clock import Clock
from tokensvc.errors import CustodyUnavailable, CustodyUnusable, KeyDestroyed
from tokensvc.keyring.custody.aws_calls import ResourceExists, ResourceMissing
from tokensvc.keyring.custody.key_ids import is_key_id, require_key_id
from tokensvc.keyring.custody.secret_signers import (
    SecretSigners,
    SecretVersion,
    mismatch,
    private_key_of,
    secret_text,
)
from tokensvc.keyring.signers import StoredKey
from tokensvc.token.p384 import PublicKey

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_secretsmanager.type_defs import CreateSecretRequestTypeDef

RECOVERY_WINDOW_DAYS: Final = 7
"""How long a secret can be restored that is deleted and not compromised: AWS's minimum."""

_WINDOW_SECONDS: Final = RECOVERY_WINDOW_DAYS * 86_400


class SecretsManagerCustody(SecretSigners):
    """Implements `Custody` with secrets that are named `prefix` + key ID, in one region.

    Args:
        client: returns the client of the region; raises what boto3 raises.
        region: the region.
        prefix: the beginning of the name of each secret.
        clock: the clock for the time of a destruction, and for pauses.
        kms_key: the KMS key that encrypts the secrets; None for AWS's own, `aws/secretsmanager`.
    """

    def __init__(
        self,
        client: Callable[[], SecretsManagerClient],
        region: Region,
        prefix: str,
        clock: Clock,
        *,
        kms_key: str | None = None,
    ) -> None:
        super().__init__(client, region, clock)
        self._region = region
        self._prefix = prefix
        self._kms_key = kms_key

    def create(self, key_id: str, *, tags: Mapping[str, str] | None = None) -> StoredKey:
        """The private key of that ID, which is generated if its secret doesn't exist yet.

        A secret that a crashed process has made is read and returned.

        Raises:
            CustodyUnavailable: when Secrets Manager can't be reached, or denies the calls.
            CustodyDamaged: when the secret exists and has no usable private key.
            KeyDestroyed: when it is scheduled for deletion.
        """
        return self._create(key_id, ec.generate_private_key(ec.SECP384R1()), tags)

    def adopt(
        self,
        key_id: str,
        private_key: ec.EllipticCurvePrivateKey,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> StoredKey:
        """The stored key, after storing a private key that was generated elsewhere.

        Raises:
            CustodyUnavailable: when Secrets Manager can't be reached, or denies the calls.
            CustodyDamaged: when that ID already has another private key, or one that can't be read.
            KeyDestroyed: when its secret is scheduled for deletion.
            InvalidKeyMaterial: when the key is not on the curve P-384.
        """
        expected = PublicKey.of(private_key.public_key())
        stored = self._create(key_id, private_key, tags)
        if stored.public_key != expected:
            raise mismatch(key_id, stored.public_key, expected)
        return stored

    def key_ids(self) -> Collection[str]:
        """The IDs of all private keys with this prefix that are not scheduled for deletion.

        Raises:
            CustodyUnavailable: when Secrets Manager can't be reached, or denies the call.
        """
        return sorted(
            name.removeprefix(self._prefix)
            for name in self._names()
            if name.startswith(self._prefix) and is_key_id(name.removeprefix(self._prefix))
        )

    def destroy(self, key_id: str, *, handle: str | None = None, compromised: bool) -> float:
        """Delete the secret. Returns when it is permanently gone, in Unix seconds.

        A compromised one is deleted at once, any other one after `RECOVERY_WINDOW_DAYS`. Neither
        can be read from now on.

        Raises:
            CustodyUnavailable: when Secrets Manager can't be reached, or denies the call.
        """
        require_key_id(key_id)
        secret_id = self._name(key_id)
        if handle is not None:
            secret_id = SecretVersion.parse(handle, key_id).arn
        try:
            with self._calls.translated("DeleteSecret", f"the secret {secret_id}"):
                client = self._client()
                answer = (
                    client.delete_secret(SecretId=secret_id, ForceDeleteWithoutRecovery=True)
                    if compromised
                    else client.delete_secret(
                        SecretId=secret_id, RecoveryWindowInDays=RECOVERY_WINDOW_DAYS
                    )
                )
                return answer["DeletionDate"].timestamp()
        except ResourceMissing:
            return self._clock.now()
        except CustodyUnusable:  # It was deleted before.
            return self._deletion_date(secret_id)

    def _create(
        self,
        key_id: str,
        private_key: ec.EllipticCurvePrivateKey,
        tags: Mapping[str, str] | None,
    ) -> StoredKey:
        require_key_id(key_id)
        name = self._name(key_id)
        request: CreateSecretRequestTypeDef = {
            "Name": name,
            "Description": f"The private key {key_id} of tokensvc, which signs playback tokens.",
            "SecretString": secret_text(key_id, private_key),
            "Tags": [{"Key": tag, "Value": value} for tag, value in self._tags(tags).items()],
        }
        if self._kms_key is not None:
            request["KmsKeyId"] = self._kms_key
        try:
            # boto3 sends a ClientRequestToken of its own, and the same one when it tries again.
            with self._calls.translated("CreateSecret", f"the secret {name}"):
                answer = self._client().create_secret(**request)
                version = SecretVersion(answer["ARN"], answer["VersionId"])
        except ResourceExists:
            return self._existing(key_id)
        except CustodyUnusable as exc:
            raise self._destroyed(key_id) from exc
        return StoredKey(key_id, PublicKey.of(private_key.public_key()), str(version))

    def _existing(self, key_id: str) -> StoredKey:
        """The private key that another call has stored under that ID."""
        name = self._name(key_id)
        try:
            with self._calls.translated("GetSecretValue", f"the secret {name}"):
                answer = self._client().get_secret_value(SecretId=name)
                version = SecretVersion(answer["ARN"], answer["VersionId"])
        except CustodyUnusable as exc:
            raise self._destroyed(key_id) from exc
        except ResourceMissing as exc:
            raise CustodyUnavailable(
                f"{self._calls.where} has the secret {name}, and does not return it yet.",
                hint="Run the same command again.",
            ) from exc
        private_key = private_key_of(answer, key_id)
        return StoredKey(key_id, PublicKey.of(private_key.public_key()), str(version))

    def _names(self) -> Iterator[str]:
        with self._calls.translated("ListSecrets", "*"):
            pages = (
                self._client()
                .get_paginator("list_secrets")
                .paginate(Filters=[{"Key": "name", "Values": [self._prefix]}])
            )
            names = [secret["Name"] for page in pages for secret in page["SecretList"]]
        yield from names

    def _deletion_date(self, secret_id: str) -> float:
        try:
            with self._calls.translated("DescribeSecret", f"the secret {secret_id}"):
                described: Mapping[str, Any] = self._client().describe_secret(SecretId=secret_id)
        except ResourceMissing:
            return self._clock.now()
        now = self._clock.now()
        if "DeletedDate" not in described:
            return now + _WINDOW_SECONDS
        # AWS does not say whether it is the date of the request or of the end of the window.
        at: float = described["DeletedDate"].timestamp()
        return at if at > now else at + _WINDOW_SECONDS

    def _name(self, key_id: str) -> str:
        return f"{self._prefix}{key_id}"

    def _tags(self, tags: Mapping[str, str] | None) -> Mapping[str, str]:
        return {**(tags or {}), "tokensvc:region": self._region}

    def _destroyed(self, key_id: str) -> KeyDestroyed:
        return KeyDestroyed(
            f"The private key of {key_id} was destroyed: its secret {self._name(key_id)} in"
            f" {self._region} is scheduled for deletion.",
            hint="Run `tokensvc keys generate` to create a new key pair: a key ID is never reused.",
        )
