"""The checks that compare the ring with the key pairs held by IVS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tokensvc.clock import rfc3339
from tokensvc.errors import RotationRefused
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.checks.finding import Context, Finding, FindingCode, Severity
from tokensvc.keyring.effects import required_public_key
from tokensvc.keyring.model import MAX_PAIRS_IN_IVS, KeyState, Ring
from tokensvc.keyring.ownership import Owner, delete_command, is_held, owner_of, record_of
from tokensvc.keyring.rotation import Step, next_step

STUCK_AFTER_SECONDS = 900
"""How long a step may be due before it is reported as stuck: scheduled jobs run more often."""


def _missing_in_ivs(context: Context) -> Iterator[Finding]:
    for pair in context.ring.pairs:
        if is_held(pair, context.held) or pair.is_compromised:
            continue
        match pair.state:
            case KeyState.ACTIVE:
                yield context.finding(
                    Severity.SERIOUS,
                    FindingCode.MISSING_IN_IVS,
                    pair.key_id,
                    f"{pair.key_id} is active, but IVS does not hold it. IVS refuses the tokens "
                    "that it signed.",
                    "Check with `aws sts get-caller-identity` that the credentials belong to "
                    f"account {context.ring.account_id}. If this state is an old copy, replace it "
                    "with the newest one. If there is no newer copy, run "
                    f"`tokensvc keys revoke {pair.key_id}` to switch to another key at once.",
                )
            case KeyState.PUBLISHED:
                yield context.finding(
                    Severity.WARNING,
                    FindingCode.MISSING_IN_IVS,
                    pair.key_id,
                    f"{pair.key_id} is the standby key, but IVS does not hold it.",
                    f"Run `tokensvc keys revoke {pair.key_id}`.",
                )
            case KeyState.RETIRING if pair.delete_intended_at is None:
                yield context.finding(
                    Severity.WARNING,
                    FindingCode.MISSING_IN_IVS,
                    pair.key_id,
                    f"{pair.key_id} was deleted from IVS before its tokens expired. IVS refuses "
                    "these tokens.",
                    "Give the affected viewers a new playback URL. Nothing else needs to be done.",
                )


def _fingerprints(context: Context) -> Iterator[Finding]:
    by_arn = {held.arn: held for held in context.held}
    for pair in context.ring.pairs:
        held = None if pair.arn is None else by_arn.get(pair.arn)
        if held is None or record_of(context.ring, held) == pair:
            continue
        yield context.finding(
            Severity.SERIOUS,
            FindingCode.FINGERPRINT_MISMATCH,
            pair.key_id,
            f"{held.arn} has the fingerprint {held.fingerprint} in IVS, but the ring records "
            f"{required_public_key(pair).fingerprint} for {pair.key_id}. They are different keys.",
            "Replace this state with the newest copy. If there is no newer copy, run "
            f"`tokensvc keys revoke --all --region {context.region}`.",
        )


def _pairs_outside_the_ring(context: Context) -> Iterator[Finding]:
    for held in context.held:
        name = held.name or "no name"
        match owner_of(context.ring, held):
            case Owner.UNRECORDED:
                yield context.finding(
                    Severity.SERIOUS,
                    FindingCode.UNRECORDED,
                    str(held.arn),
                    f"{held.arn} ({name}) is tagged by this deployment, but this state has no "
                    "record of it. The state is an old copy.",
                    "Replace this state with the newest copy. If that is lost and nothing signs "
                    f"with this key pair, delete it: `{delete_command(held)}`.",
                )
            case Owner.OTHER_DEPLOYMENT:
                yield context.finding(
                    Severity.WARNING,
                    FindingCode.OTHER_DEPLOYMENT,
                    str(held.arn),
                    f"{held.arn} ({name}) is tagged by another deployment and occupies one of the "
                    f"{MAX_PAIRS_IN_IVS} slots.",
                    f"Delete it if that deployment no longer exists: `{delete_command(held)}`.",
                )
            case Owner.FOREIGN:
                yield context.finding(
                    Severity.NOTE,
                    FindingCode.FOREIGN,
                    str(held.arn),
                    f"{held.arn} ({name}) is a foreign key pair (not made by tokensvc) and "
                    f"occupies one of the {MAX_PAIRS_IN_IVS} slots.",
                    "Adopt it with `tokensvc keys adopt`. If nothing signs with it, delete it: "
                    f"`{delete_command(held)}`.",
                )
            case Owner.OURS:
                yield from _retired_in_ivs(context, held)


def _retired_in_ivs(context: Context, held: HeldKeyPair) -> Iterator[Finding]:
    pair = record_of(context.ring, held)
    if pair is not None and pair.state is KeyState.RETIRED:
        yield context.finding(
            Severity.SERIOUS,
            FindingCode.RETIRED_IN_IVS,
            pair.key_id,
            f"{pair.key_id} is retired, but IVS holds it again as {held.arn}. Anyone who has a "
            "copy of its private key can sign valid tokens.",
            f"Delete it from IVS: `{delete_command(held)}`.",
        )


def _slot_pressure(context: Context) -> Iterator[Finding]:
    if context.evidence.decommissioning:
        return  # There will be no further rotation.
    others = sum(owner_of(context.ring, held) is not Owner.OURS for held in context.held)
    if (free_for_us := MAX_PAIRS_IN_IVS - others) > 1:
        return
    yield context.finding(
        Severity.WARNING,
        FindingCode.SLOT_PRESSURE,
        "",
        f"Key pairs outside this ring leave it {free_for_us} of the {MAX_PAIRS_IN_IVS} slots in "
        "IVS. A rotation needs 2 slots, or 3 to keep a standby.",
        "Free a slot. The findings about these key pairs contain the commands.",
    )


def _blocked_or_stuck_step(context: Context) -> Iterator[Finding]:
    now = context.evidence.now
    try:
        due = _due_step(context, now)
        was_due = _due_step(context, now - STUCK_AFTER_SECONDS)
    except RotationRefused as refusal:
        yield context.finding(
            Severity.SERIOUS, FindingCode.DECISION_NEEDED, "", refusal.detail, refusal.hint
        )
        return
    changed_at = _last_changed_at(context.ring)
    if changed_at is None:
        return  # No step has been done yet, so none can be stuck.
    if due and was_due and now - changed_at >= STUCK_AFTER_SECONDS:
        yield context.finding(
            Severity.WARNING,
            FindingCode.STUCK_STEP,
            due.key_id,
            f"A step is overdue: {due.sentence}. The ring was last changed at "
            f"{rfc3339(changed_at)}.",
            f"Run `{context.reconcile_command}`, and schedule it as a job.",
        )


def _due_step(context: Context, at: float) -> Step | None:
    step = next_step(
        context.ring,
        context.held,
        at,
        keep_standby=context.evidence.keep_standby,
        decommissioning=context.evidence.decommissioning,
    )
    return step if isinstance(step, Step) else None


def _last_changed_at(ring: Ring) -> float | None:
    """The latest time recorded in the ring (Unix seconds); None when it records none."""
    request = ring.rotation_request
    times = [request.requested_at if request else None, *(line.at for line in ring.history)]
    for pair in ring.pairs:
        times += [pair.created_at, pair.published_at, pair.activated_at, pair.compromised_at]
        times += [pair.signing_ended_at, pair.delete_intended_at]
    return max((at for at in times if at is not None), default=None)


CHECKS_WITH_IVS: tuple[Callable[[Context], Iterable[Finding]], ...] = (
    _blocked_or_stuck_step,
    _missing_in_ivs,
    _fingerprints,
    _pairs_outside_the_ring,
    _slot_pressure,
)
