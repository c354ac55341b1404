"""Turn the evidence that was gathered about one region into findings.

Pure, except `unusable_private_keys`, which signs with the private keys. Evidence that could not be
gathered is given as the error, and each such error is itself a finding.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from tokensvc.aws_dates import clock_off
from tokensvc.errors import TokensvcError
from tokensvc.keyring.checks.checks_of_ring import CHECKS_OF_RING
from tokensvc.keyring.checks.checks_with_ivs import CHECKS_WITH_IVS
from tokensvc.keyring.checks.context import Context
from tokensvc.keyring.checks.finding import Evidence, Finding, FindingCode, Severity
from tokensvc.keyring.model import KeyState, Ring
from tokensvc.keyring.signers import SignerLoader, self_checked_signer

_CONSEQUENCES = frozenset(
    {
        FindingCode.NO_ACTIVE_KEY,
        FindingCode.NO_STANDBY,
        FindingCode.COMPROMISED_KEY_IN_IVS,
        FindingCode.STUCK_STEP,
        FindingCode.SLOT_PRESSURE,
    }
)
"""What often follows from another finding, and is gone with it."""


_STOPPING = frozenset(
    {
        FindingCode.BINDING_MISMATCH,
        FindingCode.WRONG_ACCOUNT,
        FindingCode.CLOCK_OFF,
        FindingCode.MISSING_IN_IVS,
        FindingCode.FINGERPRINT_MISMATCH,
        FindingCode.UNRECORDED,
        FindingCode.OTHER_DEPLOYMENT,
        FindingCode.DECISION_NEEDED,
    }
)
"""What the operator must decide or repair before any step, where it is serious."""


def unusable_private_keys(signer_loader: SignerLoader, ring: Ring) -> Mapping[str, TokensvcError]:
    """Self-check each private key that is active or may become active.

    Returns:
        The errors by key ID; empty when every private key can sign.
    """
    unusable: dict[str, TokensvcError] = {}
    for pair in ring.in_state(KeyState.PENDING, KeyState.PUBLISHED, KeyState.ACTIVE):
        if pair.public_key is None or pair.is_compromised:
            continue
        try:
            self_checked_signer(signer_loader, pair)
        except TokensvcError as exc:
            unusable[pair.key_id] = exc
    return unusable


def find_orphans(
    custody_key_ids: Collection[str], rings: Iterable[Ring], reported: Collection[Finding] = ()
) -> Sequence[Finding]:
    """A finding for each private key in custody that none of these rings records or still needs.

    A private key that one of the `reported` findings calls restored is left out.
    """
    needed = {pair.key_id for ring in rings for pair in ring.pairs if pair.destroyed_on is None}
    needed |= {
        finding.subject
        for finding in reported
        if finding.code == FindingCode.DESTROYED_KEY_RESTORED
    }
    return [
        Finding(
            Severity.WARNING,
            FindingCode.ORPHAN,
            None,
            key_id,
            f"Custody has a private key {key_id} that no ring of a configured region needs.",
            "Keep it if another state, or a region that was configured before, may record it "
            "(check with `tokensvc keys list --region REGION`). Otherwise delete it from the "
            "custody manually.",
        )
        for key_id in custody_key_ids
        if key_id not in needed
    ]


def examine(evidence: Evidence) -> tuple[Finding, ...]:
    """All findings about one region: the most serious first, and causes before consequences."""
    wrong_account = tuple(_wrong_account(evidence))
    # A clock that is off comes first, because IVS may refuse calls for it.
    findings = [*_clock_off(evidence), *_missing_evidence(evidence), *wrong_account]
    if not isinstance(evidence.ring, TokensvcError):
        held = () if isinstance(evidence.held, TokensvcError) else evidence.held
        # The key pairs of another account say nothing about this ring.
        can_compare = not isinstance(evidence.held, TokensvcError) and not wrong_account
        checks = (*CHECKS_OF_RING, *CHECKS_WITH_IVS) if can_compare else CHECKS_OF_RING
        context = Context(evidence, evidence.ring or _empty_ring(evidence), held)
        findings += chain.from_iterable(check(context) for check in checks)
    return tuple(sorted(_without_consequences(findings), key=_rank))


def _without_consequences(findings: Sequence[Finding]) -> Iterator[Finding]:
    """The findings without those that are gone when the cause is gone that another one names."""
    stopped = any(_stops_every_step(finding) for finding in findings)
    overdue = any(finding.code == FindingCode.STUCK_STEP for finding in findings)
    for finding in findings:
        if finding.code in (FindingCode.STUCK_STEP, FindingCode.SLOT_PRESSURE) and stopped:
            continue
        if finding.code == FindingCode.NO_STANDBY and (stopped or overdue):
            continue
        yield finding


def _stops_every_step(finding: Finding) -> bool:
    """Whether no step can be done, not even one for the next standby, until that is decided."""
    is_missing_evidence = finding.code not in set(FindingCode)
    return finding.severity is Severity.SERIOUS and (
        is_missing_evidence or finding.code in _STOPPING
    )


def _rank(finding: Finding) -> tuple[int, bool]:
    return list(Severity).index(finding.severity), finding.code in _CONSEQUENCES


def _missing_evidence(evidence: Evidence) -> Iterator[Finding]:
    reported = set()
    for error in (
        evidence.ring,
        evidence.held,
        evidence.custody_key_ids,
        evidence.clock_offset_seconds,
    ):
        # An IVS that does not answer is reported once, not once for each call.
        if isinstance(error, TokensvcError) and error.code not in reported:
            reported.add(error.code)
            yield Finding(
                Severity.SERIOUS, error.code, evidence.binding.region, "", error.detail, error.hint
            )


def _wrong_account(evidence: Evidence) -> Iterator[Finding]:
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
                f"These AWS credentials belong to account {held.arn.account_id}, but the settings "
                f"are for account {account_id}. The ring was not compared with IVS.",
                f"Use credentials of account {account_id} (check with "
                "`aws sts get-caller-identity`), or correct the setting ivs.account_id.",
            )
            return


def _clock_off(evidence: Evidence) -> Iterator[Finding]:
    if isinstance(evidence.clock_offset_seconds, TokensvcError):
        return
    error = clock_off(evidence.clock_offset_seconds, evidence.clock_skew_seconds)
    if error is not None:
        region = evidence.binding.region
        yield Finding(Severity.SERIOUS, FindingCode.CLOCK_OFF, region, "", error.detail, error.hint)


def _empty_ring(evidence: Evidence) -> Ring:
    """A ring for a region that has none yet: no key pair held by IVS belongs to it."""
    binding, terms = evidence.binding, evidence.terms
    return Ring(binding.region, binding.account_id, binding.endpoint, deployment="", terms=terms)
