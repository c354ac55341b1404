"""A custody in AWS KMS: each private key is a KMS key with an alias, and never leaves KMS."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Final, NoReturn

from cryptography.hazmat.primitives.asymmetric import ec

from tokensvc.arns import Region
from tokensvc.clock import Clock
from tokensvc.errors import (
    CustodyDenied,
    CustodyUnavailable,
    CustodyUnusable,
    KeyDestroyed,
    TokensvcError,
)
from tokensvc.keyring.custody.aws_calls import ResourceExists, ResourceMissing
from tokensvc.keyring.custody.key_ids import is_key_id, require_key_id
from tokensvc.keyring.custody.kms_signers import (
    KEY_SPEC,
    KEY_USAGE,
    KmsSigners,
    key_arn,
    require_enabled,
)
from tokensvc.keyring.signers import StoredKey

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_kms.type_defs import KeyMetadataTypeDef

PENDING_WINDOW_DAYS: Final = 7
"""How long KMS keeps a key whose deletion is scheduled: AWS's minimum."""

_DESCRIPTION: Final = "A private key of tokensvc, which signs playback tokens: "
_PENDING_DELETION: Final = frozenset({"PendingDeletion", "PendingReplicaDeletion"})

_logger = logging.getLogger(__name__)


class KmsCustody(KmsSigners):
    """Implements `Custody` with KMS keys whose aliases are `alias_prefix` + key ID, in one region.

    The alias finds the key of an ID again after a crash, and stays while the deletion of its key is
    scheduled, so that none is made again. What signs is the key with the recorded ARN.

    Args:
        client: returns the client of the region; raises what boto3 raises.
        region: the region.
        alias_prefix: the beginning of each alias, such as `alias/tokensvc/`.
        clock: the clock for the time of a destruction, and for pauses.
    """

    def __init__(
        self, client: Callable[[], KMSClient], region: Region, alias_prefix: str, clock: Clock
    ) -> None:
        super().__init__(client, region, clock)
        self._alias_prefix = alias_prefix

    def create(self, key_id: str, *, tags: Mapping[str, str] | None = None) -> StoredKey:
        """The private key of that ID, which is generated if it has no alias yet.

        A key that a crashed process has given an alias is returned. One that it made without an
        alias is found by `keys doctor`.

        Raises:
            CustodyUnavailable: when KMS can't be reached, or denies the calls.
            CustodyDamaged: when the alias is of a key that can't be used.
            KeyDestroyed: when the deletion of the key is scheduled.
        """
        require_key_id(key_id)
        with contextlib.suppress(ResourceMissing):
            return self._existing(key_id)
        made = self._new_key(key_id, tags)
        self._name(made, key_id)
        try:
            existing = self._existing(key_id)
        except ResourceMissing as exc:
            raise CustodyUnavailable(
                f"{self._calls.where} has {self._alias(key_id)}, and does not show its key yet.",
                hint="Run the same command again in a minute.",
            ) from exc
        if existing.handle != made["Arn"]:  # Another process was faster.
            self._discard(made)
        return existing

    def adopt(
        self,
        key_id: str,
        private_key: ec.EllipticCurvePrivateKey,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> NoReturn:
        """Refuse: a private key that was outside KMS has lost what KMS is for.

        Raises:
            CustodyDenied: always.
        """
        del private_key, tags
        require_key_id(key_id)
        raise CustodyDenied(
            "A private key that exists outside AWS KMS can't be adopted with custody.url set to"
            " kms:.",
            hint="Adopt it with `file:` or `secretsmanager:` as custody, then rotate to a key in"
            " KMS; or import the public key of a new key pair with `tokensvc keys rotate`.",
        )

    def key_ids(self) -> Collection[str]:
        """The IDs of all private keys with this prefix, except those that are being deleted.

        Raises:
            CustodyUnavailable: when KMS can't be reached, or denies the calls.
        """
        return sorted(
            key_id
            for key_id, kms_id in self._ids_and_targets()
            if not self._is_pending_deletion(kms_id, key_id)
        )

    def destroy(self, key_id: str, *, handle: str | None = None, compromised: bool) -> float:
        """Disable the key and schedule its deletion. Returns when it is gone, in Unix seconds.

        `compromised` makes no difference, because no faster way exists: it can't sign from now on.

        Raises:
            CustodyUnavailable: when KMS can't be reached, or denies the calls.
        """
        del compromised
        require_key_id(key_id)
        kms_id = self._alias(key_id) if handle is None else key_arn(handle, key_id)
        try:
            described = self._described(kms_id, key_id)
            if described.get("KeyState") in _PENDING_DELETION:
                return self._deletion_date(described)
            with self._calls.translated("DisableKey", f"the key {described['Arn']} of {key_id}"):
                self._client().disable_key(KeyId=described["KeyId"])
            return self._schedule_deletion(described)
        except ResourceMissing:
            return self._clock.now()

    def unnamed_keys(self) -> Collection[str]:
        """The ARNs of the keys that a crash has left without an alias, so that no ID has them.

        Raises:
            CustodyUnavailable: when KMS can't be reached, or denies the calls.
        """
        named = {kms_id for _, kms_id in self._aliases()}
        with self._calls.translated("ListKeys", "*"):
            pages = self._client().get_paginator("list_keys").paginate()
            kms_ids = [key["KeyId"] for page in pages for key in page["Keys"]]
        found = []
        for kms_id in kms_ids:
            if kms_id in named:
                continue
            with contextlib.suppress(ResourceMissing, CustodyDenied):  # Not ours to describe.
                described = self._described(kms_id, "an unknown key pair")
                is_ours = described.get("Description", "").startswith(_DESCRIPTION)
                if is_ours and described.get("KeyState") not in _PENDING_DELETION:
                    found.append(described["Arn"])
        return sorted(found)

    def _existing(self, key_id: str) -> StoredKey:
        """The key with the alias of that ID. Raises ResourceMissing when there is none."""
        described = self._described(self._alias(key_id), key_id)
        if described.get("KeyState") in _PENDING_DELETION:
            raise KeyDestroyed(
                f"The private key of {key_id} was destroyed: the deletion of {described['Arn']} is"
                " scheduled.",
                hint="Run `tokensvc keys generate` to create a new key pair: a key ID is never"
                " reused.",
            )
        require_enabled(described, key_id)
        arn = described["Arn"]
        return StoredKey(key_id, self._public_key(arn, key_id), arn)

    def _new_key(self, key_id: str, tags: Mapping[str, str] | None) -> KeyMetadataTypeDef:
        """A new key, which has no alias yet."""
        with self._calls.translated("CreateKey", "*"):
            answer = self._client().create_key(
                KeySpec=KEY_SPEC,
                KeyUsage=KEY_USAGE,
                Description=f"{_DESCRIPTION}{key_id}",
                Tags=[{"TagKey": tag, "TagValue": value} for tag, value in (tags or {}).items()],
            )
            return answer["KeyMetadata"]

    def _name(self, made: KeyMetadataTypeDef, key_id: str) -> None:
        """Give the new key the alias of that ID, unless a key has it already."""
        alias = self._alias(key_id)
        try:
            # boto3 tries again if an answer is lost, and is then refused although this key has it.
            with (
                contextlib.suppress(ResourceExists),
                self._calls.translated("CreateAlias", alias),
            ):
                self._client().create_alias(AliasName=alias, TargetKeyId=made["KeyId"])
        except CustodyDenied:
            self._discard(made)
            raise

    def _discard(self, made: KeyMetadataTypeDef) -> None:
        """Schedule the deletion of a key that has no alias. What remains, `keys doctor` finds."""
        try:
            self._schedule_deletion(made)
        except TokensvcError as exc:
            _logger.warning("The unused KMS key %s could not be deleted: %s", made["Arn"], exc)

    def _schedule_deletion(self, described: KeyMetadataTypeDef) -> float:
        kms_id, arn = described["KeyId"], described["Arn"]
        try:
            with self._calls.translated("ScheduleKeyDeletion", f"the key {arn}"):
                answer = self._client().schedule_key_deletion(
                    KeyId=kms_id, PendingWindowInDays=PENDING_WINDOW_DAYS
                )
                return answer["DeletionDate"].timestamp()
        except CustodyUnusable:  # Another process scheduled it meanwhile.
            return self._deletion_date(self._described(arn, "a destroyed key pair"))

    def _deletion_date(self, described: KeyMetadataTypeDef) -> float:
        if "DeletionDate" in described:
            return described["DeletionDate"].timestamp()
        return self._clock.now() + PENDING_WINDOW_DAYS * 86_400

    def _is_pending_deletion(self, kms_id: str, key_id: str) -> bool:
        try:
            return self._described(kms_id, key_id).get("KeyState") in _PENDING_DELETION
        except ResourceMissing:
            return True

    def _ids_and_targets(self) -> Iterator[tuple[str, str]]:
        for alias, kms_id in self._aliases():
            key_id = alias.removeprefix(self._alias_prefix)
            if alias.startswith(self._alias_prefix) and is_key_id(key_id):
                yield key_id, kms_id

    def _aliases(self) -> Collection[tuple[str, str]]:
        """Each alias of the region that has a key, and the ID of that key."""
        with self._calls.translated("ListAliases", "*"):
            pages = self._client().get_paginator("list_aliases").paginate()
            return [
                (alias["AliasName"], alias["TargetKeyId"])
                for page in pages
                for alias in page["Aliases"]
                if "TargetKeyId" in alias
            ]

    def _alias(self, key_id: str) -> str:
        return f"{self._alias_prefix}{key_id}"
