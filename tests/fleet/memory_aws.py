"""KMS and Secrets Manager in memory: the real custodies call them over a link that may fail.

A request whose answer is lost is sent again, as boto3 does. So KMS makes a second key.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from botocore.exceptions import ClientError, ConnectionClosedError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.fleet.links import Condition, Link
from tests.keyring.rings import ACCOUNT_ID, REGION
from tokensvc.clock import Clock
from tokensvc.keyring.custody.base import Custody
from tokensvc.keyring.custody.kms import KmsCustody
from tokensvc.keyring.custody.kms_signers import KEY_SPEC, KEY_USAGE
from tokensvc.keyring.custody.secrets_manager import SecretsManagerCustody

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

T = TypeVar("T")
_ALIAS_PREFIX: Final = "alias/tokensvc/"
_SECRET_PREFIX: Final = "tokensvc/"  # The beginning of a name.
_VERSION_ID: Final = "0" * 32
_DAY_SECONDS: Final = 86_400


@dataclass(slots=True)
class KmsKey:
    """A key of KMS.

    Attributes:
        arn: its ARN.
        description: what it is for.
        private_key: the private key.
        state: `Enabled`, `Disabled` or `PendingDeletion`.
        deleted_on: when it is gone, if it is being deleted.
    """

    arn: str
    description: str
    private_key: ec.EllipticCurvePrivateKey
    state: str = "Enabled"
    deleted_on: datetime | None = None


@dataclass(slots=True)
class MemoryKms:
    """The keys that all processes share, by ARN, and the ARN of each alias."""

    keys: dict[str, KmsKey] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def custody(self, clock: Clock, link: Link | None = None) -> Custody:
        """The custody as a process with that link reaches it."""
        client = cast("KMSClient", _KmsClient(self, clock, link or Link()))
        return KmsCustody(lambda: client, REGION, _ALIAS_PREFIX, clock)

    def lose(self, key_id: str) -> None:
        """Lose that private key, as an operator's mistake does."""
        arn = self.aliases.pop(_ALIAS_PREFIX + key_id, "")
        self.keys.pop(arn, None)

    @property
    def destroyed(self) -> set[str]:
        """The aliases of the private keys that were destroyed."""
        return {name for name, arn in self.aliases.items() if self.keys[arn].deleted_on}


@dataclass(slots=True)
class Secret:
    """A secret: its name, its ARN, its text, and when it is gone if it is being deleted."""

    name: str
    arn: str
    text: str
    deleted_on: datetime | None = None


@dataclass(slots=True)
class MemorySecrets:
    """The secrets that all processes share, by name, and the names of those that were destroyed."""

    secrets: dict[str, Secret] = field(default_factory=dict)
    destroyed: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def custody(self, clock: Clock, link: Link | None = None) -> Custody:
        """The custody as a process with that link reaches it."""
        client = cast("SecretsManagerClient", _SecretsClient(self, clock, link or Link()))
        return SecretsManagerCustody(lambda: client, REGION, _SECRET_PREFIX, clock)

    def lose(self, key_id: str) -> None:
        """Lose that private key, as an operator's mistake does."""
        self.secrets.pop(_SECRET_PREFIX + key_id, None)


class _Client:
    """What both clients share: requests over a link to a service with a lock and a clock."""

    def __init__(self, lock: threading.Lock, clock: Clock, link: Link) -> None:
        self._lock = lock
        self._clock = clock
        self._link = link

    def _sent(self, effect: Callable[[], T]) -> T:
        """What the effect returns. Like boto3, it sends a request again whose answer is lost."""
        try:
            return self._sent_once(effect)
        except ConnectionClosedError:
            return self._sent_once(effect)

    def _sent_once(self, effect: Callable[[], T]) -> T:
        with self._link.call(self._failure), self._lock:
            return effect()

    def _failure(self, _: str) -> Exception:
        if self._link.condition is Condition.THROTTLES:
            return _refusal("ThrottlingException")
        return ConnectionClosedError(endpoint_url="https://aws.invalid")

    def _date_in(self, days: int) -> datetime:
        return datetime.fromtimestamp(self._clock.now() + days * _DAY_SECONDS, UTC)


class _KmsClient(_Client):
    """The operations of KMS that the custody calls, with the arguments that it uses."""

    def __init__(self, kms: MemoryKms, clock: Clock, link: Link) -> None:
        super().__init__(kms.lock, clock, link)
        self._kms = kms

    def create_key(self, **arguments: Any) -> Any:
        def create() -> KmsKey:
            arn = f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/{len(self._kms.keys):08}"
            private_key = ec.generate_private_key(ec.SECP384R1())
            self._kms.keys[arn] = KmsKey(arn, arguments["Description"], private_key)
            return self._kms.keys[arn]

        return {"KeyMetadata": _described(self._sent(create))}

    def create_alias(self, **arguments: Any) -> None:
        def create() -> None:
            if arguments["AliasName"] in self._kms.aliases:
                raise _refusal("AlreadyExistsException")
            self._kms.aliases[arguments["AliasName"]] = arguments["TargetKeyId"]

        self._sent(create)

    def describe_key(self, **arguments: Any) -> Any:
        return {"KeyMetadata": self._sent(lambda: _described(self._key(arguments)))}

    def get_public_key(self, **arguments: Any) -> Any:
        key = self._sent(lambda: self._key(arguments))
        der = key.private_key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return {"PublicKey": der, "KeySpec": KEY_SPEC, "KeyUsage": KEY_USAGE}

    def sign(self, **arguments: Any) -> Any:
        def sign() -> bytes:
            key = self._key(arguments)
            if key.state != "Enabled":
                raise _refusal("DisabledException")
            return key.private_key.sign(arguments["Message"], ec.ECDSA(hashes.SHA384()))

        return {"Signature": self._sent(sign)}

    def disable_key(self, **arguments: Any) -> None:
        def disable() -> None:
            key = self._key(arguments)
            if key.state == "PendingDeletion":
                raise _refusal("KMSInvalidStateException")
            key.state = "Disabled"

        self._sent(disable)

    def schedule_key_deletion(self, **arguments: Any) -> Any:
        def schedule() -> datetime:
            key = self._key(arguments)
            if key.state == "PendingDeletion":
                raise _refusal("KMSInvalidStateException")
            key.state = "PendingDeletion"
            key.deleted_on = self._date_in(arguments["PendingWindowInDays"])
            return key.deleted_on

        return {"DeletionDate": self._sent(schedule)}

    def get_paginator(self, operation: str) -> _OnePage:
        def aliases() -> Any:
            pairs = self._kms.aliases.items()
            return {"Aliases": [{"AliasName": name, "TargetKeyId": arn} for name, arn in pairs]}

        assert operation == "list_aliases"
        return _OnePage(lambda: self._sent(aliases))

    def _key(self, arguments: Mapping[str, str]) -> KmsKey:
        key_id = arguments["KeyId"]
        key = self._kms.keys.get(self._kms.aliases.get(key_id, key_id))
        if key is None:
            raise _refusal("NotFoundException")
        return key


class _SecretsClient(_Client):
    """The operations of Secrets Manager that the custody calls, with the arguments that it uses."""

    def __init__(self, secrets: MemorySecrets, clock: Clock, link: Link) -> None:
        super().__init__(secrets.lock, clock, link)
        self._secrets = secrets

    def create_secret(self, **arguments: Any) -> Any:
        name, text = arguments["Name"], arguments["SecretString"]

        def create() -> Secret:
            stored = self._secrets.secrets.get(name)
            if stored is None:
                number = len(self._secrets.destroyed)
                arn = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT_ID}:secret:{name}-{number:06}"
                stored = self._secrets.secrets[name] = Secret(name, arn, text)
            if stored.deleted_on is not None:
                raise _refusal("InvalidRequestException")
            if stored.text != text:  # The same request, sent again, has the same text.
                raise _refusal("ResourceExistsException")
            return stored

        return _version_of(self._sent(create))

    def get_secret_value(self, **arguments: Any) -> Any:
        def get() -> Secret:
            secret = self._secret(arguments)
            if secret.deleted_on is not None:
                raise _refusal("InvalidRequestException")
            return secret

        secret = self._sent(get)
        return {**_version_of(secret), "SecretString": secret.text}

    def delete_secret(self, **arguments: Any) -> Any:
        days = arguments.get("RecoveryWindowInDays", 0)

        def delete() -> datetime:
            secret = self._secret(arguments)
            if days == 0:
                del self._secrets.secrets[secret.name]
            elif secret.deleted_on is not None:
                raise _refusal("InvalidRequestException")
            self._secrets.destroyed.add(secret.name)
            secret.deleted_on = self._date_in(days)
            return secret.deleted_on

        return {"DeletionDate": self._sent(delete)}

    def describe_secret(self, **arguments: Any) -> Any:
        return {"DeletedDate": self._sent(lambda: self._secret(arguments)).deleted_on}

    def get_paginator(self, operation: str) -> _OnePage:
        def secrets() -> Any:
            stored = self._secrets.secrets.values()
            return {"SecretList": [{"Name": each.name} for each in stored if not each.deleted_on]}

        assert operation == "list_secrets"
        return _OnePage(lambda: self._sent(secrets))

    def _secret(self, arguments: Mapping[str, str]) -> Secret:
        for secret in self._secrets.secrets.values():
            if arguments["SecretId"] in (secret.name, secret.arn):
                return secret
        raise _refusal("ResourceNotFoundException")


@dataclass(frozen=True, slots=True)
class _OnePage:
    """A paginator with one page."""

    page: Callable[[], Any]

    def paginate(self, **_: object) -> Any:
        return [self.page()]


def _described(key: KmsKey) -> Any:
    described = {"KeyId": key.arn, "Arn": key.arn, "KeyState": key.state}
    dates = {} if key.deleted_on is None else {"DeletionDate": key.deleted_on}
    return {**described, "Description": key.description, **dates}


def _version_of(secret: Secret) -> Any:
    return {"ARN": secret.arn, "Name": secret.name, "VersionId": _VERSION_ID}


def _refusal(code: str) -> ClientError:
    error: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return ClientError(error, "a call")
