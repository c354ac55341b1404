"""The stored document of a ring: validated when it is read, saved by compare-and-set (rule 7)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from tokensvc.arns import PlaybackKeyArn, Region, parse_region
from tokensvc.errors import (
    InvalidArn,
    InvalidKeyMaterial,
    InvariantBroken,
    NoSigningKey,
    RotationRefused,
    StateConflict,
    StateDamaged,
)
from tokensvc.keyring.invariants import broken_invariants
from tokensvc.keyring.model import KeyPair, KeyState, Ring, Transition
from tokensvc.keyring.restoration import Restoration
from tokensvc.keyring.rotation_requests import RotationPause, RotationRequest
from tokensvc.keyring.terms import FormerTerms, Terms
from tokensvc.state.base import NEW, Document, State, Version
from tokensvc.state.schema import CURRENT, PREVIOUS, RESTORE_HINT, schema_of, written_schema
from tokensvc.token.p384 import PublicKey

_NAME_PREFIX = "ring:"


@dataclass(frozen=True, slots=True)
class StoredRing:
    """A ring as it was read or saved, and its version, which the next save must name."""

    ring: Ring
    version: Version


class RingStore:
    """Loads and saves the ring of one region."""

    def __init__(self, state: State, region: Region) -> None:
        self._state = state
        self._name = document_name(region)

    def load(self) -> StoredRing | None:
        """The ring, or None when the region has no ring yet.

        Raises:
            StateUnavailable: when the state can't be read now.
            StateDamaged: when the document is not a ring that this release can read.
        """
        document = self._state.load(self._name)
        if document is None:
            return None
        return StoredRing(decode_ring(document), document.version)

    def save(self, ring: Ring, *, replacing: Version = NEW) -> StoredRing:
        """Save the ring if the stored version is still `replacing`. Returns the saved ring.

        Raises:
            StateConflict: when another rotator saved first. Nothing was written.
            StateUnavailable: when the state can't be written now.
            InvariantBroken: when the ring breaks an invariant: a bug. Nothing was written.
            RotationRefused: when the previous release could not read it, before `tokensvc state
                upgrade`. Nothing was written.
        """
        if broken := broken_invariants(ring):
            raise InvariantBroken(
                f"The change to the ring of {ring.region} was not saved, because it would break an "
                f"invariant: {' '.join(broken)} Nothing was written.",
                hint="This is a bug in tokensvc. Please report it with the output of "
                f"`tokensvc keys history --region {ring.region}`.",
            )
        body = self._encoded(ring)
        try:
            version = self._state.save(self._name, body, replacing=replacing)
        except StateConflict as exc:
            raise ring_conflict(ring.region) from exc
        return StoredRing(ring, version)

    def require_storable(self, ring: Ring) -> None:
        """Return if `save` would not refuse the ring before `tokensvc state upgrade`.

        Call it before an effect that is no use without the save.

        Raises:
            RotationRefused: when the previous release could not read it.
            StateUnavailable: when the state can't be read now.
        """
        self._encoded(ring)

    def _encoded(self, ring: Ring) -> str:
        return encode_ring(ring, written_schema(self._state))


def document_name(region: Region) -> str:
    """The name of that region's document in the state."""
    return f"{_NAME_PREFIX}{region}"


def is_ring(name: str) -> bool:
    """Whether the document of that name is a ring."""
    return name.startswith(_NAME_PREFIX)


def ring_conflict(region: Region) -> StateConflict:
    """The error of the rotator that lost a compare-and-set (rule 7)."""
    return StateConflict(
        f"Another process changed the ring of {region} at the same time.",
        hint="Run `tokensvc keys list` to see what it did, then run the same command again.",
    )


def ring_missing(region: Region) -> NoSigningKey:
    """The error when a region has no ring yet."""
    return NoSigningKey(
        f"{region} has no key pair yet.",
        hint=f"Run `tokensvc keys reconcile --region {region}` to create the first one.",
    )


def encode_ring(ring: Ring, schema_version: int = CURRENT) -> str:
    """The JSON text of the ring's document in that schema version.

    Raises:
        RotationRefused: when the ring has what version 1 can't store.
    """
    document = _RingSchema.of(ring, schema_version)
    if schema_version == PREVIOUS and (names := sorted(set(_members_since_version_2(document)))):
        raise RotationRefused(
            f"The ring of {ring.region} can't be saved with {', '.join(names)} while processes of"
            " the previous release may read it. Nothing was written.",
            hint="Upgrade every process, then run `tokensvc state upgrade`.",
        )
    # Aliases are the names in version 1.
    return document.model_dump_json(by_alias=schema_version == PREVIOUS, exclude_defaults=True)


def decode_ring(document: Document) -> Ring:
    """The ring in a stored document.

    Raises:
        StateDamaged: when the document is not a ring, or breaks an invariant.
        SchemaUnsupported: when a newer release wrote it.
    """
    schema_of(document, what="The ring")
    try:
        ring = _RingSchema.model_validate_json(document.body).ring()
    except (ValueError, InvalidArn, InvalidKeyMaterial) as exc:
        raise StateDamaged("The stored ring is not valid.", hint=RESTORE_HINT) from exc
    if broken := broken_invariants(ring):
        raise StateDamaged(
            f"The stored ring of {ring.region} breaks an invariant: {' '.join(broken)}",
            hint=RESTORE_HINT,
        )
    return ring


def _members_since_version_2(schema: BaseModel) -> Iterator[str]:
    """The names of the members that version 1 does not have, where they have a value."""
    for name, field in type(schema).model_fields.items():
        value = getattr(schema, name)
        if not field.is_required() and value != field.default:
            yield name
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, BaseModel):
                yield from _members_since_version_2(part)


# The previous release shows it as a part of the reason, and has no check that `--force` skips.
_FORCED_IN_VERSION_1 = " (forced)"


class _Schema(BaseModel):
    """A part of the document. A member with a default is new in schema version 2.

    In version 1, a ring with a value of such a member is refused: without the pause, the former
    terms, the restoration or the adopted key's lifetime a rotator would do what the ring forbids,
    and without the handle a worker of the previous release can't sign.
    `is_forced` is the exception, because an emergency must end in every version.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _PairSchema(_Schema):
    key_id: str
    state: str
    created_at: float
    public_key: str | None
    arn: str | None
    published_at: float | None
    activated_at: float | None
    signing_ended_at: float | None
    delete_intended_at: float | None
    deleted_at: float | None
    destroyed_on: float | None
    compromised_at: float | None
    adopted: bool
    adopted_ttl_seconds: int | None = None
    custody_handle: str | None = None

    @classmethod
    def of(cls, pair: KeyPair) -> Self:
        values = {name: getattr(pair, name) for name in cls.model_fields}
        return cls(
            **values
            | {
                "state": pair.state.value,
                "public_key": pair.public_key and pair.public_key.pem,
                "arn": pair.arn and str(pair.arn),
            }
        )

    def pair(self) -> KeyPair:
        values = self.model_dump()
        return KeyPair(
            **values
            | {
                "state": KeyState(self.state),
                "public_key": self.public_key and PublicKey.from_pem(self.public_key),
                "arn": self.arn and PlaybackKeyArn.parse(self.arn),
            }
        )


class _TermsSchema(_Schema):
    publish_delay_seconds: int
    ring_max_age_seconds: int = Field(
        validation_alias=AliasChoices("ring_max_age_seconds", "view_max_age_seconds"),
        serialization_alias="view_max_age_seconds",
    )
    longest_ttl_seconds: int
    clock_skew_seconds: int


class _FormerTermsSchema(_Schema):
    terms: _TermsSchema
    lowered_by: str
    reason: str
    ended_at: float | None

    @classmethod
    def of(cls, former: FormerTerms) -> Self:
        return cls(
            terms=_TermsSchema.model_validate(former.terms, from_attributes=True),
            lowered_by=former.lowered_by,
            reason=former.reason,
            ended_at=former.ended_at,
        )

    def former_terms(self) -> FormerTerms:
        terms = Terms(**self.terms.model_dump())
        return FormerTerms(terms, self.lowered_by, self.reason, self.ended_at)


class _RotationRequestSchema(_Schema):
    requested_at: float
    requested_by: str
    reason: str
    is_urgent: bool
    is_forced: bool = False
    # Only for people. A rotator goes on when it can't record them.
    failed_at: float | None = None
    failure: str = ""

    @classmethod
    def of(cls, request: RotationRequest, schema_version: int) -> Self:
        stored = cls.model_validate(request, from_attributes=True)
        if schema_version == PREVIOUS and request.is_forced:
            reason = f"{request.reason}{_FORCED_IN_VERSION_1}"
            return stored.model_copy(update={"reason": reason, "is_forced": False})
        return stored

    def request(self, schema_version: int) -> RotationRequest:
        request = RotationRequest(**self.model_dump())
        if schema_version == PREVIOUS and request.reason.endswith(_FORCED_IN_VERSION_1):
            reason = request.reason.removesuffix(_FORCED_IN_VERSION_1)
            return dataclasses.replace(request, reason=reason, is_forced=True)
        return request


class _RotationPauseSchema(_Schema):
    since: float
    by: str
    reason: str


class _RestorationSchema(_Schema):
    restored_by: str
    restored_at: float | None


class _TransitionSchema(_Schema):
    at: float
    by: str
    key_id: str
    from_state: str | None
    to_state: str
    why: str

    def transition(self) -> Transition:
        from_state = None if self.from_state is None else KeyState(self.from_state)
        return Transition(
            self.at, self.by, self.key_id, from_state, KeyState(self.to_state), self.why
        )


class _RingSchema(_Schema):
    """The document's schema, separate from `Ring`, so that a change to `Ring` can't change it."""

    schema_version: int
    region: str
    account_id: str
    endpoint: str
    deployment: str
    terms: _TermsSchema
    pairs: list[_PairSchema]
    # `wish` is this member's name in documents written before it was renamed.
    rotation_request: _RotationRequestSchema | None = Field(
        validation_alias=AliasChoices("rotation_request", "wish")
    )
    history: list[_TransitionSchema]
    rotation_pause: _RotationPauseSchema | None = None
    former_terms: list[_FormerTermsSchema] = []
    restoration: _RestorationSchema | None = None

    @classmethod
    def of(cls, ring: Ring, schema_version: int) -> Self:
        return cls(
            schema_version=schema_version,
            region=ring.region,
            account_id=ring.account_id,
            endpoint=ring.endpoint,
            deployment=ring.deployment,
            terms=_TermsSchema.model_validate(ring.terms, from_attributes=True),
            pairs=[_PairSchema.of(pair) for pair in ring.pairs],
            rotation_request=_RotationRequestSchema.of(ring.rotation_request, schema_version)
            if ring.rotation_request
            else None,
            history=[
                _TransitionSchema(
                    at=line.at,
                    by=line.by,
                    key_id=line.key_id,
                    from_state=line.from_state and line.from_state.value,
                    to_state=line.to_state.value,
                    why=line.why,
                )
                for line in ring.history
            ],
            rotation_pause=_RotationPauseSchema.model_validate(
                ring.rotation_pause, from_attributes=True
            )
            if ring.rotation_pause
            else None,
            former_terms=[_FormerTermsSchema.of(former) for former in ring.former_terms],
            restoration=_RestorationSchema.model_validate(ring.restoration, from_attributes=True)
            if ring.restoration
            else None,
        )

    def ring(self) -> Ring:
        return Ring(
            region=parse_region(self.region),
            account_id=self.account_id,
            endpoint=self.endpoint,
            deployment=self.deployment,
            terms=Terms(**self.terms.model_dump()),
            pairs=tuple(pair.pair() for pair in self.pairs),
            rotation_request=self.rotation_request.request(self.schema_version)
            if self.rotation_request
            else None,
            history=tuple(line.transition() for line in self.history),
            rotation_pause=RotationPause(**self.rotation_pause.model_dump())
            if self.rotation_pause
            else None,
            former_terms=tuple(former.former_terms() for former in self.former_terms),
            restoration=Restoration(**self.restoration.model_dump()) if self.restoration else None,
        )
