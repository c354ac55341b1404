"""What a ring shows beside the key pairs that IVS holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tokensvc.clock import rfc3339
from tokensvc.errors import RotationRefused
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.doctor.finding import Case, Finding, FindingCode, Severity
from tokensvc.keyring.model import MOST_PAIRS_IN_IVS, KeyState, Ring
from tokensvc.keyring.ownership import Owner, freeing_call, is_held, owner_of, record_of
from tokensvc.keyring.rotation import Step, next_step
from tokensvc.keyring.steps import required_public_key

STUCK_AFTER_SECONDS = 900
"""How long a step may be due before it counts as stuck: scheduled jobs come by more often."""


def _missing_in_ivs(case: Case) -> Iterator[Finding]:
    tokens_refused = "IVS refuses the tokens that it signed."
    for pair in case.ring.pairs:
        if is_held(pair, case.held) or pair.is_compromised:
            continue
        match pair.state:
            case KeyState.ACTIVE:
                yield case.finding(
                    Severity.SERIOUS,
                    FindingCode.MISSING_IN_IVS,
                    pair.key_id,
                    f"{pair.key_id} signs, and IVS does not hold it: {tokens_refused}",
                    f"Check that the AWS credentials are of account {case.ring.account_id}. If "
                    "this state is an old copy, restore the newest one. Otherwise: "
                    f"tokensvc keys revoke {pair.key_id}",
                )
            case KeyState.PUBLISHED:
                yield case.finding(
                    Severity.WARNING,
                    FindingCode.MISSING_IN_IVS,
                    pair.key_id,
                    f"{pair.key_id} is to sign next, and IVS does not hold it.",
                    f"tokensvc keys revoke {pair.key_id}",
                )
            case KeyState.RETIRING if pair.delete_intended_at is None:
                yield case.finding(
                    Severity.WARNING,
                    FindingCode.MISSING_IN_IVS,
                    pair.key_id,
                    f"{pair.key_id} left IVS before its tokens had ended: {tokens_refused}",
                    "Viewers who are refused need a new playback URL; nothing else is left to do.",
                )


def _fingerprints(case: Case) -> Iterator[Finding]:
    by_arn = {one.arn: one for one in case.held}
    for pair in case.ring.pairs:
        held = None if pair.arn is None else by_arn.get(pair.arn)
        if held is None or record_of(case.ring, held) == pair:
            continue
        yield case.finding(
            Severity.SERIOUS,
            FindingCode.FINGERPRINT_MISMATCH,
            pair.key_id,
            f"{held.arn} has the fingerprint {held.fingerprint}, and {pair.key_id} has "
            f"{required_public_key(pair).fingerprint}: the record is of another key.",
            "Restore the newest state. If there is none: tokensvc keys revoke "
            f"--all --region {case.region}",
        )


def _others(case: Case) -> Iterator[Finding]:
    for held in case.held:
        name = held.name or "no name"
        match owner_of(case.ring, held):
            case Owner.UNRECORDED:
                yield case.finding(
                    Severity.SERIOUS,
                    FindingCode.UNRECORDED,
                    str(held.arn),
                    f"{held.arn} ({name}) is tagged by this deployment, and this state has no "
                    "record of it: the state is older than what IVS holds.",
                    "Restore the newest state. If it is lost and nothing signs with this pair: "
                    + freeing_call(held),
                )
            case Owner.OTHER_DEPLOYMENT:
                yield case.finding(
                    Severity.WARNING,
                    FindingCode.OTHER_DEPLOYMENT,
                    str(held.arn),
                    f"{held.arn} ({name}) is tagged by another deployment, and takes one of the "
                    f"{MOST_PAIRS_IN_IVS} slots.",
                    f"If that deployment is no more: {freeing_call(held)}",
                )
            case Owner.FOREIGN:
                yield case.finding(
                    Severity.NOTE,
                    FindingCode.FOREIGN,
                    str(held.arn),
                    f"{held.arn} ({name}) is a stranger, and takes one of the "
                    f"{MOST_PAIRS_IN_IVS} slots.",
                    "Take it in with `tokensvc keys adopt`, or, when nothing signs with it: "
                    + freeing_call(held),
                )
            case Owner.OURS:
                yield from _retired_in_ivs(case, held)


def _retired_in_ivs(case: Case, held: HeldKeyPair) -> Iterator[Finding]:
    pair = record_of(case.ring, held)
    if pair is not None and pair.state is KeyState.RETIRED:
        yield case.finding(
            Severity.SERIOUS,
            FindingCode.RETIRED_IN_IVS,
            pair.key_id,
            f"{pair.key_id} is retired, and IVS holds it again as {held.arn}: whoever has a copy "
            "of its private half can sign.",
            freeing_call(held),
        )


def _slots(case: Case) -> Iterator[Finding]:
    if case.seen.decommissioning:
        return  # No rotation is to come.
    others = sum(owner_of(case.ring, held) is not Owner.OURS for held in case.held)
    if (free_for_us := MOST_PAIRS_IN_IVS - others) > 1:
        return
    yield case.finding(
        Severity.WARNING,
        FindingCode.SLOT_PRESSURE,
        "",
        f"Pairs that are not of this ring leave it {free_for_us} of the {MOST_PAIRS_IN_IVS} slots "
        "of IVS: a rotation needs two, and three to keep a standby.",
        "Free a slot: the findings on these pairs name the call.",
    )


def _progress(case: Case) -> Iterator[Finding]:
    try:
        due = _step_due(case, case.seen.now)
        was_due = _step_due(case, case.seen.now - STUCK_AFTER_SECONDS)
    except RotationRefused as refusal:
        yield case.finding(
            Severity.SERIOUS, FindingCode.DECISION_NEEDED, "", refusal.detail, refusal.hint
        )
        return
    moved_at = _last_moved_at(case.ring)
    if moved_at is None:
        return  # Nothing has begun, so nothing is stuck.
    if due and was_due and case.seen.now - moved_at >= STUCK_AFTER_SECONDS:
        yield case.finding(
            Severity.WARNING,
            FindingCode.STUCK_STEP,
            due.key_id,
            f"A step is due, and nobody has done any since {rfc3339(moved_at)}: {due.sentence}.",
            f"{case.reconcile} (and let a scheduled job run it)",
        )


def _step_due(case: Case, at: float) -> Step | None:
    step = next_step(
        case.ring,
        case.held,
        at,
        keep_standby=case.seen.keep_standby,
        decommissioning=case.seen.decommissioning,
    )
    return step if isinstance(step, Step) else None


def _last_moved_at(ring: Ring) -> float | None:
    """When anything about the ring was last written down; None when nothing ever was."""
    with_rotation_request = (
        None if ring.rotation_request is None else ring.rotation_request.requested_at
    )
    times = [with_rotation_request, *(line.at for line in ring.history)]
    for pair in ring.pairs:
        times += [pair.created_at, pair.published_at, pair.activated_at, pair.compromised_at]
        times += [pair.signing_ended_at, pair.delete_intended_at]
    return max((at for at in times if at is not None), default=None)


CHECKS_WITH_IVS: tuple[Callable[[Case], Iterable[Finding]], ...] = (
    _progress,
    _missing_in_ivs,
    _fingerprints,
    _others,
    _slots,
)
