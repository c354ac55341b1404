"""API keys: how a backend authenticates, and the document that stores the keys.

The text of a key (`api_key_text`) is shown once, when its secret is made; only the SHA-256 of the
secret is stored. A slow hash would add nothing: it makes it expensive to guess a person's password,
but 256 random bits can't be guessed at all, and every request would pay for it.

A rotation gives a key a new secret, and the previous one stays valid for some time, so that its
clients can change one after another. The ID, the name and the grants stay.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, with_config

from tokensvc.access import api_key_text
from tokensvc.access.callers import Caller, Scope
from tokensvc.errors import InvalidRequest, NotFound, Problem, StateDamaged, Unauthenticated
from tokensvc.redaction import redact
from tokensvc.state.base import Document
from tokensvc.state.schema import CURRENT, RESTORE_HINT, schema_of

DOCUMENT_NAME = "api-keys"
LONGEST_NAME = 64  # characters
AUTHENTICATION_HINT = (
    "Send `Authorization: Bearer tsk_…` with a key that an operator made with"
    " `tokensvc api-keys create`."
)
"""The hint for a request that can't be authenticated."""

MINT_ONLY: Final[tuple[Scope, ...]] = ("mint",)
"""The scopes of a key that was created without any, or before there were scopes."""

_ID_BYTES = 6
_SECRET_BYTES = 32
_ID_FORM = re.compile(r"[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_DIGEST_OF_NO_SECRET = "0" * 64
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

_logger = logging.getLogger(__name__)


@with_config(ConfigDict(extra="forbid", strict=True))
@dataclass(frozen=True, slots=True)
class PreviousSecret:
    """The secret that a rotation has replaced.

    Attributes:
        secret_sha256: as that of the key.
        valid_until: Unix seconds.
    """

    secret_sha256: _Digest
    valid_until: float


@with_config(ConfigDict(extra="forbid", strict=True))
@dataclass(frozen=True, slots=True)
class ApiKey:
    """One API key as it is stored.

    Attributes:
        key_id: 12 characters of lower-case hex; the caller's ID in the audit log.
        name: the name that an operator gave it; unique.
        grants: the names of its grants.
        created_at: Unix seconds.
        secret_sha256: SHA-256 of the text of the secret, 64 characters of lower-case hex.
        expires_at: when it ceases to authenticate its caller, Unix seconds; None for never.
        previous: the secret before the last rotation; None if there was none.
        scopes: what its caller may do.
        needs_confirmation: whether it was restored from a backup, which may have keys that were
            revoked later. It authenticates no caller until an operator confirms it.
    """

    key_id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    name: str
    grants: tuple[str, ...]
    created_at: float
    secret_sha256: _Digest
    needs_confirmation: bool = False
    expires_at: float | None = None
    previous: PreviousSecret | None = None
    scopes: tuple[Scope, ...] = MINT_ONLY

    def is_expired(self, now: float) -> bool:
        """Whether it authenticates no caller any more, at that time in Unix seconds."""
        return self.expires_at is not None and now >= self.expires_at

    @property
    def needs_current_schema(self) -> bool:
        """Whether it has what the previous release does not know, and would not enforce."""
        return bool(self.expires_at or self.previous) or self.scopes != MINT_ONLY

    def has_secret(self, digest: str, now: float) -> bool:
        """Whether a secret with that digest is valid at that time. Takes the same time for all."""
        is_current = hmac.compare_digest(digest, self.secret_sha256)
        previous = self.previous or PreviousSecret(_DIGEST_OF_NO_SECRET, 0.0)
        is_previous = hmac.compare_digest(digest, previous.secret_sha256)
        return is_current or (is_previous and now < previous.valid_until)


@dataclass(frozen=True)
class ApiKeys:
    """All API keys of a deployment: the document `api-keys` of the state."""

    keys: tuple[ApiKey, ...] = ()

    @functools.cached_property
    def by_id(self) -> Mapping[str, ApiKey]:
        """The keys by their IDs."""
        return {key.key_id: key for key in self.keys}

    @property
    def unconfirmed(self) -> tuple[ApiKey, ...]:
        """The keys that authenticate no caller until an operator confirms them."""
        return tuple(key for key in self.keys if key.needs_confirmation)

    def find(self, name_or_id: str) -> ApiKey:
        """The key with that ID or name.

        Raises:
            NotFound: when no key has that ID or name.
        """
        named = {key.name: key for key in self.keys}
        found = self.by_id.get(name_or_id) or named.get(name_or_id)
        if found is not None:
            return found
        if key_id := api_key_text.id_at_beginning(name_or_id):
            raise NotFound(
                "This is the text of an API key, not its ID or name.",
                hint=f"Its ID is the part after tsk_: {key_id}. Use the ID.",
            )
        raise NotFound(
            f"No API key has the ID or name {redact(name_or_id)!r}.",
            hint="Run `tokensvc api-keys list` to see all API keys.",
        )

    def encode(self, schema_version: int = CURRENT) -> str:
        """The body of the document in that schema version: JSON.

        Raises:
            InvalidRequest: when that version can't say when a key or a secret ends, or its scopes.
        """
        if schema_version < CURRENT and any(key.needs_current_schema for key in self.keys):
            raise InvalidRequest(
                "An API key that expires, was rotated or has scopes can't be saved while processes"
                " of the previous release may read it. Nothing was written.",
                hint="Upgrade every process, then run `tokensvc state upgrade`.",
            )
        text = _KeysText(schema_version=schema_version, keys=self.keys)
        # Version 1 does not have `needs_confirmation`. No key needs it there: a restore writes
        # version 2.
        return text.model_dump_json(exclude_defaults=True)

    @classmethod
    def decode(cls, document: Document | None) -> Self:
        """The keys in that document; none when `document` is None, because it was never saved.

        Raises:
            StateDamaged: when the document is not valid.
            SchemaUnsupported: when a newer release wrote it.
        """
        if document is None:
            return cls()
        schema_of(document, what="The document `api-keys`")
        try:
            keys = _KeysText.model_validate_json(document.body).keys
        except ValidationError as exc:
            raise _damaged() from exc
        if len(keys) != len({key.key_id for key in keys}):
            raise _damaged()
        return cls(keys)


def create(
    api_keys: ApiKeys,
    *,
    name: str,
    grants: tuple[str, ...],
    now: float,
    scopes: tuple[Scope, ...] = MINT_ONLY,
    expires_at: float | None = None,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[ApiKeys, str]:
    """All keys with the new one added, and the text of the new key, which is not stored.

    Times are Unix seconds.

    Raises:
        InvalidRequest: when the name is empty, too long, not printable, already used or like an ID,
            or when `grants` or `scopes` is empty.
    """
    if problems := _problems_of_new_key(api_keys, name, grants, scopes):
        raise InvalidRequest("The API key can't be created.", problems=problems)
    key_id = random_bytes(_ID_BYTES).hex()
    while key_id in api_keys.by_id:
        key_id = random_bytes(_ID_BYTES).hex()
    secret = random_bytes(_SECRET_BYTES).hex()
    key = ApiKey(key_id, name, grants, now, _digest(secret), expires_at=expires_at, scopes=scopes)
    return ApiKeys((*api_keys.keys, key)), api_key_text.text_of(key_id, secret)


def rotate(
    api_keys: ApiKeys,
    key: ApiKey,
    *,
    now: float,
    overlap_seconds: float,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[ApiKeys, str]:
    """All keys, of which this one has a new secret, and the text of the key with it.

    The secret that it had is valid for `overlap_seconds` more. An earlier one is not any more: at
    most two are valid at once.

    Raises:
        InvalidRequest: when the key has expired, with every secret.
    """
    if key.is_expired(now):
        raise InvalidRequest(
            f"The API key {key.name!r} has expired, and a new secret would be refused too.",
            hint="Create another one: `tokensvc api-keys create`.",
        )
    secret = random_bytes(_SECRET_BYTES).hex()
    previous = PreviousSecret(key.secret_sha256, now + overlap_seconds)
    rotated = replace(
        key, secret_sha256=_digest(secret), previous=previous if overlap_seconds > 0 else None
    )
    keys = tuple(rotated if each is key else each for each in api_keys.keys)
    return ApiKeys(keys), api_key_text.text_of(key.key_id, secret)


def revoke(api_keys: ApiKeys, key_id: str) -> ApiKeys:
    """All keys except the one with that ID or name, which no longer authenticates a caller.

    Raises:
        NotFound: when no key has that ID or name.
    """
    revoked = api_keys.find(key_id)
    return ApiKeys(tuple(key for key in api_keys.keys if key is not revoked))


def as_restored(api_keys: ApiKeys) -> ApiKeys:
    """All keys after a restore from a backup: each needs to be confirmed."""
    return ApiKeys(tuple(replace(key, needs_confirmation=True) for key in api_keys.keys))


def confirm(api_keys: ApiKeys, confirmed: Collection[ApiKey]) -> ApiKeys:
    """All keys, of which the confirmed ones authenticate their callers again."""
    return ApiKeys(
        tuple(
            replace(key, needs_confirmation=False) if key in confirmed else key
            for key in api_keys.keys
        )
    )


def warn_of_unconfirmed(keys: ApiKeys) -> None:
    """Report to the operator what a client of such a key is not informed of."""
    if keys.unconfirmed:
        _logger.warning(
            "API keys that were restored from a backup are refused until an operator confirms them"
            " with `tokensvc api-keys confirm`: %s",
            ", ".join(f"{key.key_id} ({key.name})" for key in keys.unconfirmed),
        )


def authenticate(api_keys: ApiKeys, presented: str, now: float) -> Caller:
    """The caller that the API key `presented` belongs to, at that time in Unix seconds.

    An ID that exists and one that doesn't take the same time and get the same error, so that an
    unauthenticated client can't find out which IDs exist.

    Raises:
        Unauthenticated: when `presented` is not a valid API key of this service.
    """
    key_id, secret = api_key_text.parse(presented) or ("", "")
    key = api_keys.by_id.get(key_id, _NO_KEY)
    is_equal = key.has_secret(_digest(secret), now)
    if not is_equal or key.needs_confirmation:
        refusal = Unauthenticated(
            "The API key is not valid, or it was revoked.", hint=AUTHENTICATION_HINT
        )
        refusal.key_id = key.key_id if is_equal else None
        raise refusal
    if key.is_expired(now):
        refusal = Unauthenticated(
            "The API key has expired.",
            hint="Ask the operator for another one: `tokensvc api-keys create` makes it.",
        )
        refusal.key_id = key.key_id
        raise refusal
    return Caller(key.key_id, key.name, key.grants, key.scopes)


_NO_KEY = ApiKey("", "", (), 0.0, _DIGEST_OF_NO_SECRET)
"""Stands for a key that does not exist, so that it takes as long. No secret has its digest."""


class _KeysText(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: int
    keys: tuple[ApiKey, ...]


def _damaged() -> StateDamaged:
    return StateDamaged(
        "The stored API keys are damaged: the document `api-keys` of the state is not valid.",
        hint=RESTORE_HINT,
    )


def _problems_of_new_key(
    api_keys: ApiKeys, name: str, grants: tuple[str, ...], scopes: tuple[Scope, ...]
) -> tuple[Problem, ...]:
    problems = []
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or name != name.strip():
        message = (
            f"The name must have 1 to {LONGEST_NAME} printable characters and must not begin or end"
            " with a space."
        )
        problems.append(Problem("name", "name_form", message))
    if _ID_FORM.fullmatch(name) or redact(name) != name:
        message = (
            "The name has the form of an ID, 12 hex digits, or looks like an API key or another"
            " secret. A command could mean either. Use another name."
        )
        problems.append(Problem("name", "name_like_id", message))
    if any(key.name == name for key in api_keys.keys):
        problems.append(Problem("name", "name_taken", f"An API key named {name!r} already exists."))
    if not scopes:
        problems.append(Problem("scopes", "scopes_missing", "Name at least one scope."))
    if not grants and set(scopes) & {"mint", "moderate"}:
        message = "Name at least one grant: the scopes mint and moderate apply to its channels."
        problems.append(Problem("grants", "grants_missing", message))
    return tuple(problems)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
