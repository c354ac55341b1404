"""The checks of a ring that IVS contradicts: one list for `next_step` and for the doctor (rule 5).

Such a ring may be an old copy of the state, so the operator must decide before anything else is
done. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tokensvc.arns import PlaybackKeyArn
from tokensvc.clock import rfc3339
from tokensvc.errors import RotationRefused
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.checks.finding import Finding, FindingCode, Severity
from tokensvc.keyring.drains import restore_drain_end
from tokensvc.keyring.model import DEPLOYMENT_TAG, KeyPair, Ring
from tokensvc.keyring.ownership import (
    Owner,
    delete_command,
    is_held,
    owner_of,
    pairs_owned_by,
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A ring, the key pairs that IVS holds, and whether the region is being decommissioned."""

    ring: Ring
    held: Sequence[HeldKeyPair]
    decommissioning: bool

    @property
    def other_keys(self) -> Mapping[PlaybackKeyArn, tuple[KeyPair, HeldKeyPair]]:
        """The records under whose ARN IVS holds another key, each with that key pair, by ARN."""
        by_arn = {one.arn: one for one in self.held}
        return {
            pair.arn: (pair, by_arn[pair.arn])
            for pair in self.ring.pairs
            if pair.arn is not None
            and pair.arn in by_arn
            and pair.require_public_key().fingerprint != by_arn[pair.arn].fingerprint
        }

    @property
    def missing_active(self) -> KeyPair | None:
        """The active key pair, if IVS does not hold its key and it is not compromised."""
        active = self.ring.active
        if active is None or active.is_compromised or is_held(active, self.held):
            return None
        return active

    @property
    def is_old_copy(self) -> bool:
        """Whether IVS holds a key pair of this deployment that the ring does not record."""
        return any(pairs_owned_by(Owner.UNRECORDED, self.ring, self.held))

    @property
    def is_about_nothing_held(self) -> bool:
        """Whether IVS holds nothing, although a key pair signs: another account's answer, maybe."""
        return not self.held and self.missing_active is not None

    def is_contradiction(self, pair: KeyPair, other_key: HeldKeyPair) -> bool:
        """Whether another key under the ARN of that record needs the operator's decision."""
        return pair == self.missing_active or owner_of(self.ring, other_key) is Owner.UNRECORDED


def contradictions(comparison: Comparison) -> Sequence[Finding]:
    """A finding for each contradiction, all of them serious; empty when there is none."""
    return [finding for check in _CHECKS for finding in check(comparison)]


def undecided_contradictions(comparison: Comparison) -> Sequence[Finding]:
    """The contradictions that the operator must decide about before a rotation continues.

    An urgent rotation request is such a decision: the replacement for the compromised key is
    checked with IVS.
    """
    request = comparison.ring.rotation_request
    return [] if request is not None and request.is_urgent else contradictions(comparison)


def refusal(findings: Sequence[Finding]) -> RotationRefused:
    """The error that refuses to continue, with the reason and the hint of each finding."""
    return RotationRefused(
        "\n".join(dict.fromkeys(finding.reason for finding in findings)),
        hint="\n".join(dict.fromkeys(finding.hint for finding in findings)),
    )


def other_key_finding(ring: Ring, pair: KeyPair, other_key: HeldKeyPair) -> Finding:
    """The finding that IVS holds another key under the ARN of that record."""
    hint = f"`tokensvc keys revoke --all --region {ring.region}`"
    if pair == ring.active:
        hint = f"`tokensvc keys revoke {pair.key_id}` to switch to another key at once"
    return Finding(
        Severity.SERIOUS,
        FindingCode.FINGERPRINT_MISMATCH,
        ring.region,
        pair.key_id,
        f"{other_key.arn} has the fingerprint {other_key.fingerprint} in IVS, but the ring records "
        f"{pair.require_public_key().fingerprint} for {pair.key_id}. They are different keys.",
        f"Replace this state with the newest copy. If there is no newer copy, run {hint}.",
    )


def _beside_another_deployment(comparison: Comparison) -> Iterator[Finding]:
    ring = comparison.ring
    if ring.pairs or comparison.decommissioning:
        return
    for held in pairs_owned_by(Owner.OTHER_DEPLOYMENT, ring, comparison.held):
        yield Finding(
            Severity.SERIOUS,
            FindingCode.OTHER_DEPLOYMENT,
            ring.region,
            str(held.arn),
            f"This state has no key pair in {ring.region}, but IVS holds {held.arn} "
            f"({held.name or 'no name'}) of another deployment ({held.tags[DEPLOYMENT_TAG]}).",
            "Use the state of that deployment (setting state.url) or a copy of it. To start a "
            f"new deployment beside it, run `tokensvc keys generate --region {ring.region}`.",
        )


def _active_key_missing(comparison: Comparison) -> Iterator[Finding]:
    ring, active = comparison.ring, comparison.missing_active
    if active is None or active.arn in comparison.other_keys or comparison.is_old_copy:
        return  # `_other_keys` or `_unrecorded` reports the cause.
    revoke = f"`tokensvc keys revoke {active.key_id}` to switch to another key at once"
    if comparison.is_about_nothing_held:
        reason = (
            f"IVS holds no key pair in {ring.region} in the account of these AWS credentials, also "
            f"not the active {active.key_id} ({active.arn})."
        )
        hint = (
            "Check with `aws sts get-caller-identity` that they belong to account "
            f"{ring.account_id}. If they do, every key pair was deleted from IVS: run {revoke}."
        )
    else:
        reason = (
            f"{active.key_id} ({active.arn}), the active key pair of {ring.region}, was deleted "
            "from IVS, so IVS refuses its tokens."
        )
        hint = f"Run {revoke}. If there is a newer copy of this state, use that instead."
    yield Finding(
        Severity.SERIOUS, FindingCode.MISSING_IN_IVS, ring.region, active.key_id, reason, hint
    )


def _other_keys(comparison: Comparison) -> Iterator[Finding]:
    for pair, other_key in comparison.other_keys.values():
        if comparison.is_contradiction(pair, other_key):
            yield other_key_finding(comparison.ring, pair, other_key)


def _unrecorded(comparison: Comparison) -> Iterator[Finding]:
    active = comparison.missing_active
    consequence = switch = ""
    if active is not None and active.arn not in comparison.other_keys:
        consequence = (
            f" IVS holds {active.key_id} ({active.arn}), the active key pair of this copy, no "
            "longer and refuses its tokens."
        )
        switch = (
            f" If there is none, run `tokensvc keys revoke {active.key_id}` to switch to another "
            "key at once."
        )
    for held in pairs_owned_by(Owner.UNRECORDED, comparison.ring, comparison.held):
        if held.arn in comparison.other_keys:
            continue  # `_other_keys` reports it.
        yield Finding(
            Severity.SERIOUS,
            FindingCode.UNRECORDED,
            comparison.ring.region,
            str(held.arn),
            f"{held.arn} ({held.name or 'no name'}) is tagged by this deployment, but this state "
            f"has no record of it. The state is an old copy.{consequence}",
            _after_a_restore(comparison.ring, held, switch)
            or f"Replace this state with the newest copy.{switch} If that is lost and nothing signs"
            f" with this key pair, delete it: `{delete_command(held)}`. Then run "
            "`tokensvc keys reconcile`.",
        )


def _after_a_restore(ring: Ring, held: HeldKeyPair, switch: str) -> str:
    """The hint in a ring that was restored: the key pair may have signed since the backup."""
    if ring.restoration is None:
        return ""
    ends_at = restore_drain_end(ring, None)
    until = (
        "for now: `tokensvc keys reconcile` records the time of the restore, and the time until "
        "which the key pair must stay follows from that."
        if math.isinf(ends_at)
        else f"until {rfc3339(ends_at)}. Then delete it: `{delete_command(held)}`, and run "
        "`tokensvc keys reconcile`."
    )
    return (
        f"If there is a newer backup, restore that.{switch} Otherwise leave this key pair, which "
        f"may have signed since the backup, {until}"
    )


_CHECKS: tuple[Callable[[Comparison], Iterator[Finding]], ...] = (
    _beside_another_deployment,
    _active_key_missing,
    _other_keys,
    _unrecorded,
)
