"""An examination: evidence of one region, gathered before, gives findings.

Pure but for `unusable_private_halves`. What could not be gathered is the error that said so, and is
itself a finding.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from tokensvc.errors import TokensvcError
from tokensvc.keyring.custody.base import Custody
from tokensvc.keyring.doctor.checks_of_ring import CHECKS_OF_RING
from tokensvc.keyring.doctor.checks_with_ivs import CHECKS_WITH_IVS
from tokensvc.keyring.doctor.finding import Case, Evidence, Finding, FindingCode, Severity
from tokensvc.keyring.model import KeyState, Ring, Terms
from tokensvc.keyring.rotator import Binding
from tokensvc.keyring.steps import self_checked_signer


def unusable_private_keys(custody: Custody, ring: Ring) -> Mapping[str, TokensvcError]:
    """What is wrong with each private half that signs or may sign next, by key ID."""
    unusable: dict[str, TokensvcError] = {}
    for pair in ring.in_state(KeyState.PENDING, KeyState.PUBLISHED, KeyState.ACTIVE):
        if pair.public_key is None or pair.destroyed_on is not None:
            continue
        try:
            self_checked_signer(custody, pair)
        except TokensvcError as exc:
            unusable[pair.key_id] = exc
    return unusable


def orphans(custody_key_ids: Collection[str], rings: Iterable[Ring]) -> Sequence[Finding]:
    """The private halves in custody that none of those rings needs any more, or ever recorded."""
    recorded = {pair.key_id for ring in rings for pair in ring.pairs if pair.destroyed_on is None}
    return [
        Finding(
            Severity.WARNING,
            FindingCode.ORPHAN,
            None,
            key_id,
            f"Custody has a private half {key_id}, and no configured region's ring has use for it.",
            "Keep it if another state, or a region that was configured before, may record it "
            "(tokensvc keys list --region REGION); otherwise remove it from the custody by hand.",
        )
        for key_id in custody_key_ids
        if key_id not in recorded
    ]


def examine(evidence: Evidence) -> tuple[Finding, ...]:
    """Everything that the evidence of one region shows to be wrong, the most serious first."""
    elsewhere = tuple(_elsewhere(evidence))
    findings = [*_unseen(evidence), *_clock(evidence), *elsewhere]
    if not isinstance(evidence.ring, TokensvcError):
        # What another account holds tells nothing about this ring.
        is_told = not isinstance(evidence.held, TokensvcError) and not elsewhere
        checks = (*CHECKS_OF_RING, *CHECKS_WITH_IVS) if is_told else CHECKS_OF_RING
        held = () if isinstance(evidence.held, TokensvcError) else evidence.held
        case = Case(evidence, evidence.ring or _empty_ring(evidence.binding), held)
        findings += chain.from_iterable(check(case) for check in checks)
    order = list(Severity)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.severity)))


def _unseen(evidence: Evidence) -> Iterator[Finding]:
    region = evidence.binding.region
    said = set()
    for seen in (
        evidence.ring,
        evidence.held,
        evidence.custody_key_ids,
        evidence.clock_offset_seconds,
    ):
        # IVS that doesn't answer is told once, whatever it was asked.
        if isinstance(seen, TokensvcError) and seen.code not in said:
            said.add(seen.code)
            yield Finding(Severity.SERIOUS, seen.code, region, "", seen.detail, seen.hint)


def _elsewhere(evidence: Evidence) -> Iterator[Finding]:
    if isinstance(evidence.held, TokensvcError):
        return
    account_id = evidence.binding.account_id
    for held in evidence.held:
        if held.arn.account_id != account_id:
            yield Finding(
                Severity.SERIOUS,
                FindingCode.WRONG_ACCOUNT,
                evidence.binding.region,
                "",
                f"These AWS credentials are of account {held.arn.account_id}, and the settings "
                f"are for account {account_id}: what IVS holds of ours was not seen.",
                "Use credentials of that account (`aws sts get-caller-identity` tells whose they "
                "are), or set ivs.account_id.",
            )
            return


def _clock(evidence: Evidence) -> Iterator[Finding]:
    offset, skew = evidence.clock_offset_seconds, evidence.clock_skew_seconds
    if isinstance(offset, TokensvcError) or abs(offset) <= skew:
        return
    yield Finding(
        Severity.SERIOUS,
        FindingCode.CLOCK_OFF,
        evidence.binding.region,
        "",
        f"This machine's clock is {abs(offset):.0f} s {'ahead of' if offset > 0 else 'behind'} "
        f"IVS's; the rules allow {skew} s (rotation.clock_skew_seconds).",
        "Let this machine keep time by NTP, such as the Amazon Time Sync Service.",
    )


def _empty_ring(binding: Binding) -> Ring:
    """What a region without a ring is examined as: whatever IVS holds is not of it."""
    return Ring(binding.region, binding.account_id, binding.endpoint, deployment="", terms=Terms())
