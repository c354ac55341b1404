"""The evidence that the doctor examines and the findings that it returns, as values."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tokensvc.arns import Region
from tokensvc.errors import TokensvcError
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.binding import Binding
from tokensvc.keyring.model import Ring
from tokensvc.keyring.probes import FailedProbe
from tokensvc.keyring.reporting.record import RegionRecord
from tokensvc.keyring.terms import Terms


class Severity(StrEnum):
    """How urgent a finding is.

    SERIOUS: viewers are refused, or will be. WARNING: viewers may be refused soon. NOTE: viewers
    are not affected.
    """

    SERIOUS = "serious"
    WARNING = "warning"
    NOTE = "note"


class FindingCode(StrEnum):
    """The kinds of finding; the values are the identifiers that programs see.

    If evidence could not be gathered, the finding has the code of that error instead.
    """

    NO_ACTIVE_KEY = "no_active_key"
    NO_STANDBY = "no_standby"
    NO_CANARY = "no_canary"
    KEY_OLD = "key_old"
    ROTATION_PAUSED = "rotation_paused"
    RESTORED = "restored"
    TERMS_ABOVE_SETTINGS = "terms_above_settings"
    FORMER_TERMS = "former_terms"
    COMPROMISED_KEY_IN_IVS = "compromised_key_in_ivs"
    PRIVATE_KEY_UNUSABLE = "private_key_unusable"
    PROBE_FAILED = "probe_failed"
    DESTROYED_KEY_RESTORED = "destroyed_key_restored"
    ORPHAN = "orphan"
    FILE_ACCESS = "file_access"
    RECONCILE_OVERDUE = "reconcile_overdue"
    NOTIFICATION_FAILED = "notification_failed"
    REVOCATIONS_OVERDUE = "revocations_overdue"
    KMS_PUBLISH_DELAY = "kms_publish_delay"
    KMS_SIGNING = "kms_signing"
    BINDING_MISMATCH = "binding_mismatch"
    WRONG_ACCOUNT = "wrong_account"
    CLOCK_OFF = "clock_off"
    TIME_IN_FUTURE = "time_in_future"
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
    """One problem that was found.

    Attributes:
        severity: how urgent it is.
        code: a `FindingCode`, or the code of the error that prevented gathering the evidence.
        region: the region of the ring; None when the finding is about the whole custody.
        subject: the key ID or ARN, or "" when the finding is about neither.
        reason: what is wrong, in sentences.
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
    """Everything that the examination of one region uses.

    Attributes:
        binding: the region, account and endpoint that this program is configured for.
        ring: the region's ring; None when it has none.
        held: the key pairs held by IVS in the region.
        custody_key_ids: the IDs of all private keys in custody, of every region.
        unusable: the self-check errors of this ring's private keys, by key ID.
        failed_probes: the workers that can't sign with one of its key pairs.
        reconciled: the record of its reconcile runs; None when there is none.
        reconcile_overdue_seconds: how long no run need succeed; 0 for any time.
        now: Unix seconds.
        clock_offset_seconds: how far this clock is ahead of the clock of IVS; negative when behind.
        clock_skew_seconds: the largest allowed difference between any two clocks.
        key_age_warning_seconds: how long a key may sign before it is reported as old.
        terms: the limits in the settings.
        keep_standby: whether the settings ask for a standby.
        has_canary: whether a canary channel is configured for the region.
        decommissioning: whether the region was removed from the settings.
        unnamed_kms_keys: the ARNs of the KMS keys of tokensvc that have no alias; None when the
            custody is not AWS KMS.
    """

    binding: Binding
    ring: Ring | TokensvcError | None
    held: Sequence[HeldKeyPair] | TokensvcError
    custody_key_ids: Collection[str] | TokensvcError
    unusable: Mapping[str, TokensvcError]
    failed_probes: Sequence[FailedProbe]
    reconciled: RegionRecord | None
    reconcile_overdue_seconds: int
    now: float
    clock_offset_seconds: float | TokensvcError
    clock_skew_seconds: int
    key_age_warning_seconds: int
    terms: Terms
    keep_standby: bool
    has_canary: bool
    decommissioning: bool
    unnamed_kms_keys: Collection[str] | TokensvcError | None = None
