"""What an examination looks at and what it finds, as values."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tokensvc.arns import Region
from tokensvc.errors import TokensvcError
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.model import Ring
from tokensvc.keyring.rotator import Binding


class Severity(StrEnum):
    """How much a finding matters: viewers are or will be refused, soon will be, or not at all."""

    SERIOUS = "serious"
    WARNING = "warning"
    NOTE = "note"


class FindingCode(StrEnum):
    """What an examination can find; the values are the identifiers that programs see.

    Where the evidence itself could not be gathered, the finding has the code of that error.
    """

    NO_ACTIVE_KEY = "no_active_key"
    NO_STANDBY = "no_standby"
    NO_CANARY = "no_canary"
    KEY_OLD = "key_old"
    COMPROMISED_KEY_IN_IVS = "compromised_key_in_ivs"
    PRIVATE_KEY_UNUSABLE = "private_key_unusable"
    DESTROYED_KEY_RESTORED = "destroyed_key_restored"
    ORPHAN = "orphan"
    BINDING_MISMATCH = "binding_mismatch"
    WRONG_ACCOUNT = "wrong_account"
    CLOCK_OFF = "clock_off"
    MISSING_IN_IVS = "missing_in_ivs"
    RETIRED_IN_IVS = "retired_in_ivs"
    FINGERPRINT_MISMATCH = "fingerprint_mismatch"
    UNRECORDED = "unrecorded"
    OTHER_DEPLOYMENT = "other_deployment"
    FOREIGN = "foreign"
    SLOT_PRESSURE = "slot_pressure"
    DECISION_NEEDED = "decision_needed"
    STUCK_STEP = "stuck_step"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        severity: how much it matters.
        code: a `FindingCode`, or the code of the error that hid the evidence.
        region: the region whose ring it is about; None when it is about the custody as a whole.
        subject: the key ID or ARN that it is about, or "".
        reason: what is wrong, as a sentence.
        hint: what to run or change next.
    """

    severity: Severity
    code: str
    region: Region | None
    subject: str
    reason: str
    hint: str

    def members(self) -> dict[str, str | None]:
        """The members that programs see."""
        return {
            "severity": self.severity.value,
            "code": str(self.code),
            "region": self.region,
            "subject": self.subject,
            "reason": self.reason,
            "hint": self.hint,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that an examination of one region looks at.

    Attributes:
        binding: what the program is set up for.
        ring: the region's ring, None when it has none.
        held: the pairs that IVS holds.
        custody_key_ids: the IDs of all private halves in custody, of whatever region.
        unusable: what is wrong with the private halves of this ring that may have to sign.
        now: Unix seconds.
        clock_offset_seconds: how far this clock is ahead of IVS's; negative when it is behind.
        clock_skew_seconds: by how much any two clocks may differ.
        key_age_warning_seconds: how long a key may sign before it is called old.
        keep_standby: whether a standby is to be kept.
        has_canary: whether IVS's edge is asked before a new key signs.
        winding_down: whether the region is being left: its settings name it no more.
    """

    binding: Binding
    ring: Ring | TokensvcError | None
    held: Sequence[HeldKeyPair] | TokensvcError
    custody_key_ids: Collection[str] | TokensvcError
    unusable: Mapping[str, TokensvcError]
    now: float
    clock_offset_seconds: float | TokensvcError
    clock_skew_seconds: int
    key_age_warning_seconds: int
    keep_standby: bool
    has_canary: bool
    decommissioning: bool


@dataclass(frozen=True, slots=True)
class Case:
    """Evidence of a region that has a ring, with what IVS holds, none where it was not told."""

    seen: Evidence
    ring: Ring
    held: Sequence[HeldKeyPair]

    @property
    def region(self) -> Region:
        """The ring's region."""
        return self.ring.region

    @property
    def reconcile(self) -> str:
        """The command that does what is due."""
        return f"tokensvc keys reconcile --region {self.region}"

    def finding(
        self, severity: Severity, code: str, subject: str, reason: str, hint: str
    ) -> Finding:
        """A finding of this region."""
        return Finding(severity, code, self.region, subject, reason, hint)
