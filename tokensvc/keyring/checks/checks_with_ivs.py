"""The checks that compare the ring with the key pairs held by IVS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tokensvc.clock import rfc3339
from tokensvc.errors import RotationRefused
from tokensvc.ivs.limits import MAX_KEY_PAIRS
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.checks.context import Context
from tokensvc.keyring.checks.contradictions import (
    contradictions,
    other_key_finding,
    undecided_contradictions,
)
from tokensvc.keyring.checks.finding import Finding, FindingCode, Severity
from tokensvc.keyring.model import KeyState, Ring
from tokensvc.keyring.ownership import Owner, delete_command, is_held, owner_of, record_of
from tokensvc.keyring.rotation import next_step
from tokensvc.keyring.steps import Action, Step

STUCK_AFTER_SECONDS = 900
"""How long a step may be due before it is reported as stuck: scheduled jobs run more often."""


def _contradictions(context: Context) -> Iterator[Finding]:
    yield from contradictions(context.comparison)


def _missing_in_ivs(context: Context) -> Iterator[Finding]:
    """The standby and retiring key pairs; a missing active key pair is a contradiction."""
    if context.comparison.is_old_copy or context.comparison.is_about_nothing_held:
        return  # Another finding reports the cause, and what to do about all of them.
    for pair in context.ring.pairs:
        if (
            is_held(pair, context.held)
            or pair.is_compromised
            or pair.arn in context.comparison.other_keys
        ):
            continue
        match pair.state:
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
    comparison = context.comparison
    for pair, other_key in comparison.other_keys.values():
        if not comparison.is_contradiction(pair, other_key):
            yield other_key_finding(context.ring, pair, other_key)


def _pairs_outside_the_ring(context: Context) -> Iterator[Finding]:
    reported = {finding.subject for finding in contradictions(context.comparison)}
    reported |= {str(arn) for arn in context.comparison.other_keys}
    for held in context.held:
        name = held.name or "no name"
        match owner_of(context.ring, held):
            case _ if str(held.arn) in reported:
                continue
            case Owner.OTHER_DEPLOYMENT:
                yield context.finding(
                    Severity.WARNING,
                    FindingCode.OTHER_DEPLOYMENT,
                    str(held.arn),
                    f"{held.arn} ({name}) is tagged by another deployment and occupies one of the "
                    f"{MAX_KEY_PAIRS} slots.",
                    f"Delete it if that deployment no longer exists: `{delete_command(held)}`.",
                )
            case Owner.FOREIGN:
                yield context.finding(
                    Severity.NOTE,
                    FindingCode.FOREIGN,
                    str(held.arn),
                    f"{held.arn} ({name}) is a foreign key pair (not made by tokensvc) and "
                    f"occupies one of the {MAX_KEY_PAIRS} slots.",
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
            f"Run `{context.reconcile_command}` to delete it from IVS again.",
        )


def _slot_pressure(context: Context) -> Iterator[Finding]:
    if context.evidence.decommissioning:
        return  # There will be no further rotation.
    others = sum(owner_of(context.ring, held) is not Owner.OURS for held in context.held)
    if (free_for_us := MAX_KEY_PAIRS - others) > 1 or _refusal(context) is not None:
        return
    yield context.finding(
        Severity.WARNING,
        FindingCode.SLOT_PRESSURE,
        "",
        f"Key pairs outside this ring leave it {free_for_us} of the {MAX_KEY_PAIRS} slots in "
        "IVS. A rotation needs 2 slots, or 3 to keep a standby.",
        "Free a slot. The findings about these key pairs contain the commands.",
    )


def _blocked_step(context: Context) -> Iterator[Finding]:
    if (refusal := _refusal(context)) is not None:
        yield context.finding(
            Severity.SERIOUS, FindingCode.DECISION_NEEDED, "", refusal.detail, refusal.hint
        )


def _refusal(context: Context) -> RotationRefused | None:
    """Why the next step is refused, for another reason than the contradictions."""
    try:
        _due_step(context, context.evidence.now)
    except RotationRefused as refusal:
        return None if undecided_contradictions(context.comparison) else refusal
    return None


def _stuck_step(context: Context) -> Iterator[Finding]:
    now = context.evidence.now
    try:
        due = _due_step(context, now)
        was_due = _due_step(context, now - STUCK_AFTER_SECONDS)
    except RotationRefused:
        return  # Another finding reports the refusal.
    changed_at = _last_changed_at(context.ring)
    if changed_at is None:
        return  # No step has been done yet, so none can be stuck.
    if due and due.action is Action.DELETE_AGAIN:
        return  # `_retired_in_ivs` reports it.
    if due and was_due and now - changed_at >= STUCK_AFTER_SECONDS:
        yield context.finding(
            Severity.WARNING,
            FindingCode.STUCK_STEP,
            due.key_id,
            f"A step is overdue: {due.sentence}. The ring was last changed at "
            f"{rfc3339(changed_at)}.{_request_sentence(context.ring)}",
            f"Run `{context.reconcile_command}`, and schedule it as a job.",
        )


def _request_sentence(ring: Ring) -> str:
    request = ring.rotation_request
    return "" if request is None else f" A rotation is requested. {request.sentence}"


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
    _blocked_step,
    _stuck_step,
    _contradictions,
    _missing_in_ivs,
    _fingerprints,
    _pairs_outside_the_ring,
    _slot_pressure,
)
