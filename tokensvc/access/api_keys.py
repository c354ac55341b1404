"""API keys: how a backend proves who it is, and the document that they live in.

A key is the text `tsk_<id>_<secret>`: an ID of 12 characters that anyone may see and a secret of
64, both lower-case hex. The text exists once, when it is made; what is stored is SHA-256 of the
secret. A slow hash would add nothing: it makes guessing a person's password dear, and 256 random
bits can't be guessed at any price, while every request would pay for it.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, with_config

from tokensvc.access.callers import Caller
from tokensvc.errors import InvalidRequest, NotFound, Problem, StateDamaged, Unauthenticated
from tokensvc.state.base import Document
from tokensvc.state.schema import require_schema

DOCUMENT_NAME = "api-keys"
SCHEMA_VERSION = 1
LONGEST_NAME = 64  # characters
AUTHENTICATION_HINT = (
    "Send `Authorization: Bearer tsk_…` with a key that an operator made with"
    " `tokensvc api-keys create`."
)
"""What a caller who is not let in is told to do."""

_ID_BYTES = 6
_SECRET_BYTES = 32
_TEXT_FORM = re.compile(r"tsk_([0-9a-f]{12})_([0-9a-f]{64})", re.ASCII)
_DIGEST_OF_NO_SECRET = "0" * 64


@with_config(ConfigDict(extra="forbid", strict=True))
@dataclass(frozen=True, slots=True)
class ApiKey:
    """One API key as it is stored.

    Attributes:
        key_id: 12 characters of lower-case hex; the caller's ID in the audit trail.
        name: what an operator calls it; no two keys have the same.
        grants: the names of the grants that it holds, in the order in which they are tried.
        created_at: Unix seconds.
        secret_sha256: SHA-256 of the secret's text, 64 characters of lower-case hex.
    """

    key_id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    name: str
    grants: tuple[str, ...]
    created_at: float
    secret_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class ApiKeys:
    """Every API key of a deployment: a document of the state, named `api-keys`."""

    keys: tuple[ApiKey, ...] = ()

    @functools.cached_property
    def by_id(self) -> Mapping[str, ApiKey]:
        """The keys by their IDs."""
        return {key.key_id: key for key in self.keys}

    def encode(self) -> str:
        """The document's body, JSON with its schema version."""
        return _KeysText(schema_version=SCHEMA_VERSION, keys=self.keys).model_dump_json()

    @classmethod
    def decode(cls, document: Document | None) -> Self:
        """The keys in that document; none when it was never saved.

        Raises:
            StateDamaged: when it is not one that this program can read.
        """
        if document is None:
            return cls()
        try:
            require_schema(document, SCHEMA_VERSION, what="The API keys")
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
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[ApiKeys, str]:
    """The keys with a new one among them, and the new one's text: the only time that it is seen.

    Raises:
        InvalidRequest: when the name is empty, too long, not printable or taken, or when there is
            no grant.
    """
    if problems := _problems_of_new_key(api_keys, name, grants):
        raise InvalidRequest("The API key can't be made.", problems=problems)
    key_id = random_bytes(_ID_BYTES).hex()
    while key_id in api_keys.by_id:
        key_id = random_bytes(_ID_BYTES).hex()
    secret = random_bytes(_SECRET_BYTES).hex()
    key = ApiKey(key_id, name, grants, now, _digest(secret))
    return ApiKeys((*api_keys.keys, key)), f"tsk_{key_id}_{secret}"


def revoke(api_keys: ApiKeys, key_id: str) -> ApiKeys:
    """The keys without the one of that ID or name, which opens nothing from then on.

    Raises:
        NotFound: when there is none.
    """
    left = tuple(key for key in api_keys.keys if key_id not in (key.key_id, key.name))
    if len(left) == len(api_keys.keys):
        raise NotFound(
            f"There is no API key {key_id!r}.", hint="`tokensvc api-keys list` shows those."
        )
    return ApiKeys(left)


def authenticate(api_keys: ApiKeys, presented: str) -> Caller:
    """The caller whose key that text is.

    It takes as long for an ID that exists as for one that doesn't, and the refusal is the same:
    neither tells a stranger which IDs there are.

    Raises:
        Unauthenticated: when it is no key of ours.
    """
    match = _TEXT_FORM.fullmatch(presented)
    key_id, secret = match.groups() if match else ("", "")
    key = api_keys.by_id.get(key_id)
    expected = key.secret_sha256 if key else _DIGEST_OF_NO_SECRET
    agrees = hmac.compare_digest(_digest(secret), expected)
    if key is None or not agrees:
        raise Unauthenticated("The API key is not one of this service's.", hint=AUTHENTICATION_HINT)
    return Caller(caller_id=key.key_id, name=key.name, grants=key.grants)


class _KeysText(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: int
    keys: tuple[ApiKey, ...]


def _damaged() -> StateDamaged:
    return StateDamaged(
        "The document of the API keys can't be read.",
        hint="Restore the state from its last copy.",
    )


def _problems_of_new_key(
    api_keys: ApiKeys, name: str, grants: tuple[str, ...]
) -> tuple[Problem, ...]:
    problems = []
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or name != name.strip():
        problems.append(
            Problem("name", "name_form", f"A name has 1 to {LONGEST_NAME} printable characters.")
        )
    if any(key.name == name for key in api_keys.keys):
        problems.append(Problem("name", "name_taken", f"There is an API key {name!r} already."))
    if not grants:
        problems.append(Problem("grants", "grants_missing", "A key without a grant opens nothing."))
    return tuple(problems)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
