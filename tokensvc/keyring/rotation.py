"""The rules of rotation, and the next step of a ring that follows from them.

 1. At most one key of a ring is active. Only the active key signs, until it is marked compromised.
 2. A key becomes active only when it has been published for `publish_delay_seconds`, has passed a
    self-check (sign, verify, IVS's fingerprint equals ours) and, where a canary is configured, the
    canary was answered with anything but 403. Workers load and probe each key that may become
    active when they first see it, and record the result. A switch from one key to another is
    refused while a live worker's newest probe failed, unless it is forced or urgent. The clocks of
    two rotators may measure the delay, so the delay must exceed the slowest import by the clock
    skew.
 3. A process signs only from a view of the ring that is at most `ring_max_age_seconds` old. The age
    is counted from when the read was sent. One reading of the clock is used for this check, `exp`
    and the session version.
 4. A retiring key is deleted from IVS only `drain_seconds` after `signing_ended_at`. The drain is
    the maximum age of a view, plus the longest lifetime of a token, plus twice the clock skew.
    `signing_ended_at` is read after the switch was acknowledged, and is saved in a second write.
    Until it is saved, nothing is deleted. The limits are in the ring. A setting raises them; only
    an operator's command lowers them. The earlier limits then count in each drain until the last
    token that they allowed has expired. An adopted key pair records the lifetime of the tokens that
    were signed elsewhere, and drains for it too. After a restore of the state from a backup, no key
    pair is deleted from IVS, and no private key is destroyed, for a drain from `restored_at`: it
    may have signed by the state that was lost. `restored_at` is saved in a second write too.
 5. A region never has more than three key pairs. A key pair is ours when this ring records it with
    the same fingerprint; the tag only helps to find it. A foreign key pair is reported and never
    deleted. A key pair that this ring has retired and that IVS holds again is ours, and is deleted
    again. When IVS contradicts the ring, the operator must decide. That is so when IVS holds key
    pairs of this deployment without a record, or doesn't hold the active key pair (the state is an
    old copy), and when the ring is empty and IVS holds key pairs of another deployment.
 6. Before each remote effect its intent is saved, and every step can be run again. A crash at any
    point leaves a ring that `reconcile` completes.
 7. A save is compare-and-set. If two rotators save at once, one wins and the other gets
    `StateConflict`.
 8. A private key is destroyed only after IVS has confirmed the delete. A compromised private key is
    destroyed at once.
 9. The next standby is created in the third slot as soon as the switch is done. A second rotation
    during a drain is refused with the time left, unless it is forced. A forced rotation uses the
    standby. A rollback switches back to the key that the last switch replaced, in one save. It
    cancels a rotation request and pauses scheduled rotation until an operator rotates. It is
    refused if that key is compromised, is to be deleted, is missing in IVS or fails rule 2's
    checks. An active key has neither `signing_ended_at` nor `delete_intended_at`.
10. Emergency: a process that has read that a key is marked compromised signs with it no more. The
    mark is one save, which needs no custody and no IVS. A compromised key is removed without a
    drain. A compromised active key is replaced first, at once and without IVS if need be: by the
    standby; if that is proven missing or wrong, which discards it, by a draining key pair that is
    not compromised; else by a new key pair, without rule 2's delay and canary. Until then no key
    signs. Compromised key pairs that are not active are removed before a new key pair is imported.
    When foreign key pairs leave no slot for it, the compromised active key is removed first.
11. Rotation runs as a command or a scheduled job, never inside a web worker.

Times are by this machine's clock. While it differs from IVS's by more than the clock skew, no step
is done that could cost tokens then (`rests_on_clock`). The removal of a compromised key goes on.

`next_step` is pure: the same ring, the same key pairs in IVS and the same time give the same step.
A region that was removed from the settings (`decommissioning`) gets no new key: its active key
drains. `view` implements rules 1, 3 and 11, `ring_document` rule 7, `effects` the checks of rule 2,
`rollback` the rollback of rule 9, `checks.contradictions` the last part of rule 5, and `rotator`
the order of rule 6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tokensvc.errors import RotationRefused, TokensvcError
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.checks.contradictions import refusal, undecided_contradictions
from tokensvc.keyring.drains import drain_ends, restore_drain_end
from tokensvc.keyring.emergency import emergency_step, has_emergency
from tokensvc.keyring.model import KeyPair, KeyState, Ring
from tokensvc.keyring.observation import Attempts, Observation
from tokensvc.keyring.ownership import held_match, is_held, record_of
from tokensvc.keyring.slots import no_free_slot
from tokensvc.keyring.steps import Action, Done, Step, WaitReason, WaitUntil


def next_step(  # noqa: PLR0913 # Each is a part of what is observed.
    ring: Ring,
    held_by_ivs: Sequence[HeldKeyPair],
    now: float,
    *,
    keep_standby: bool = True,
    decommissioning: bool = False,
    attempts: Attempts | None = None,
    account_is_certain: bool = True,
    clock_refusal: TokensvcError | None = None,
) -> Step | WaitUntil | Done:
    """The next step for the ring, or the time until which to wait, or `Done`.

    Args:
        ring: the ring.
        held_by_ivs: every key pair that IVS holds in the region.
        now: Unix seconds.
        keep_standby: whether the next standby is created as soon as a switch is done (rule 9).
        decommissioning: whether the region was removed from the settings.
        attempts: what has failed in this run.
        account_is_certain: whether `held_by_ivs` is certainly of the ring's account.
        clock_refusal: why no step may rest on this machine's clock; None when it agrees with IVS's.
            All other steps are still done, so that an emergency ends.

    Raises:
        RotationRefused: when the operator must decide before anything else is done.
        TokensvcError: `clock_refusal`, when only steps that rest on the clock are left to do.
    """
    observation = Observation(
        ring,
        held_by_ivs,
        now,
        keep_standby,
        decommissioning,
        attempts or Attempts(),
        account_is_certain,
    )
    waits = []
    refused: TokensvcError | None = None
    for rule in _RULES:
        match rule(observation):
            case Step() as step if (wait := _wait_after_restore(observation, step)) is not None:
                waits.append(wait)
            case Step() as step if clock_refusal is not None and rests_on_clock(ring, step):
                refused = clock_refusal
            case Step() as step:
                return step
            case WaitUntil() as wait:
                waits.append(wait)
            case None:
                pass
    if refused is not None:
        raise refused
    return min(waits, key=lambda wait: wait.at, default=Done())


def rests_on_clock(ring: Ring, step: Step) -> bool:
    """Whether a wrong clock could make the step cost tokens (rules 2, 4 and 8).

    It can't be undone, or records a time on which a later one rests. The removal and replacement
    of a compromised key rest on no time (rule 10).
    """
    match step.action:
        case Action.IMPORT | Action.RECORD_IMPORT | Action.SWITCH:
            return not has_emergency(ring)
        case Action.RECORD_SIGNING_END | Action.INTEND_DELETE | Action.DELETE | Action.DESTROY:
            return not ring.pair(step.key_id).is_compromised
        case Action.RECORD_RESTORE | Action.RECORD_TERMS_END:
            return True
        case _:
            return False


def step_without_ivs(
    ring: Ring, attempts: Attempts | None = None, *, decommissioning: bool = False
) -> Step | None:
    """The next step because of a compromised key pair, if it needs no answer of IVS (rule 10).

    The arguments are those of `next_step`.
    """
    attempts = attempts or Attempts()
    return emergency_step(
        ring, attempts.unusable, attempts.undestroyed, decommissioning=decommissioning
    )


def _wait_after_restore(observation: Observation, step: Step) -> WaitUntil | None:
    """Why a removal must wait because the state was restored from a backup (rule 4)."""
    if step.action not in (Action.DELETE, Action.DELETE_AGAIN, Action.DESTROY):
        return None
    ends_at = restore_drain_end(observation.ring, observation.ring.pair(step.key_id))
    if observation.now >= ends_at:
        return None
    return WaitUntil(
        ends_at,
        WaitReason.RESTORE,
        step.key_id,
        f"the state was restored from a backup, and tokens signed by {step.key_id} may be valid "
        "until then",
    )


# --- The rules as functions, in the order in which they are applied: first the removal of
# --- compromised and unneeded keys, then what keeps viewers playing, then the next switch.


def _remove_compromised_keys(observation: Observation) -> Step | None:
    return step_without_ivs(
        observation.ring, observation.attempts, decommissioning=observation.decommissioning
    )


def _discard_unusable_pairs(observation: Observation) -> Step | None:
    for pair in observation.ring.in_state(KeyState.PENDING, KeyState.PUBLISHED):
        if pair.key_id in observation.attempts.unusable:
            return Step(Action.DISCARD, pair.key_id)
    return None


def _record_restore(observation: Observation) -> Step | None:
    restoration = observation.ring.restoration
    if restoration is not None and restoration.restored_at is None:
        return Step(Action.RECORD_RESTORE)
    return None


def _destroy_retired_private_keys(observation: Observation) -> Step | None:
    for pair in _compromised_first(observation.ring.in_state(KeyState.RETIRED)):
        is_due = pair.destroyed_on is None
        if is_due and pair.key_id not in observation.attempts.undestroyed:
            return Step(Action.DESTROY, pair.key_id)
    return None


def _finish_deletion(observation: Observation) -> Step | None:
    for pair in _to_delete(observation):
        if is_held(pair, observation.held):
            return Step(Action.DELETE, pair.key_id)
        if observation.shows_deletions:
            return Step(Action.RECORD_DELETE, pair.key_id)
    return None


def _to_delete(observation: Observation) -> Sequence[KeyPair]:
    retiring = _compromised_first(observation.ring.in_state(KeyState.RETIRING))
    return [pair for pair in retiring if pair.delete_intended_at is not None]


def _compromised_first(pairs: Iterable[KeyPair]) -> Sequence[KeyPair]:
    """The pairs in an order in which none that must wait delays the removal of a compromised one.

    A wrong clock and a restore delay the others (`rests_on_clock`, rule 4).
    """
    return sorted(pairs, key=lambda pair: not pair.is_compromised)


def _delete_retired_pairs_again(observation: Observation) -> Step | None:
    """A command that was suspended while the key was retired has imported it again (rule 5)."""
    records = (record_of(observation.ring, held) for held in observation.held)
    for pair in _compromised_first(pair for pair in records if pair is not None):
        if pair.state is KeyState.RETIRED:
            return Step(Action.DELETE_AGAIN, pair.key_id)
    return None


def _record_signing_end(observation: Observation) -> Step | None:
    for pair in observation.ring.in_state(KeyState.RETIRING):
        if pair.signing_ended_at is None and not pair.is_compromised:
            return Step(Action.RECORD_SIGNING_END, pair.key_id)
    return None


def _record_terms_end(observation: Observation) -> Step | None:
    if any(former.ended_at is None for former in observation.ring.former_terms):
        return Step(Action.RECORD_TERMS_END)
    return None


def _require_consistent_with_ivs(observation: Observation) -> None:
    """Refuse to continue when IVS contradicts the ring.

    The rules after this one create key pairs, sign with them or delete them.
    """
    if findings := undecided_contradictions(observation.comparison):
        raise refusal(findings)


def _decommission(observation: Observation) -> Step | None:
    if not observation.decommissioning:
        return None
    for pair in observation.ring.in_state(KeyState.PENDING, KeyState.PUBLISHED):
        return Step(Action.WITHDRAW, pair.key_id)
    active = observation.ring.active
    return None if active is None else Step(Action.STOP, active.key_id)


def _publish_pending_pair(observation: Observation) -> Step | WaitUntil | None:
    for pair in observation.ring.in_state(KeyState.PENDING):
        if pair.public_key is None:
            return Step(Action.MAKE, pair.key_id)
        if held_match(pair, observation.held) is not None:
            return Step(Action.RECORD_IMPORT, pair.key_id)
        return _when_a_slot_is_free(observation, Step(Action.IMPORT, pair.key_id))
    return None


def _switch_to_standby(observation: Observation) -> Step | WaitUntil | None:
    ring = observation.ring
    if ring.active is not None and ring.rotation_request is None:
        return None
    standby = ring.standby
    if standby is None or standby.published_at is None:
        return None
    ready_at = standby.published_at + ring.terms.publish_delay_seconds
    if observation.now < ready_at and not has_emergency(ring):
        return WaitUntil(
            ready_at,
            WaitReason.PUBLISH_DELAY,
            standby.key_id,
            f"{standby.key_id} must be published for {ring.terms.publish_delay_seconds} s before "
            "it may sign",
        )
    return Step(Action.SWITCH, standby.key_id)


def _create_next_pair(observation: Observation) -> Step | WaitUntil | None:
    ring = observation.ring
    if observation.decommissioning or ring.in_state(KeyState.PENDING, KeyState.PUBLISHED):
        return None
    if ring.rotation_request is not None or ring.active is None:
        return _when_a_slot_is_free(observation, Step(Action.NEW_PAIR))
    if observation.keep_standby and not observation.is_full:
        return Step(Action.NEW_PAIR)
    return None


def _delete_drained_pair(observation: Observation) -> Step | WaitUntil | None:
    for ends_at, pair in drain_ends(observation.ring):
        if observation.now < ends_at:
            why = f"tokens signed by {pair.key_id} may be valid until then"
            return WaitUntil(ends_at, WaitReason.DRAIN, pair.key_id, why)
        return Step(Action.INTEND_DELETE, pair.key_id)
    return None


def _require_certain_account(observation: Observation) -> None:
    """Refuse to call a ring done while its deletions can't be confirmed (rule 8)."""
    ring = observation.ring
    if not observation.shows_deletions and (pairs := _to_delete(observation)):
        names = ", ".join(pair.key_id for pair in pairs)
        raise RotationRefused(
            f"The deletion of {names} from IVS is not confirmed. IVS holds no key pair in "
            f"{ring.region}, but these AWS credentials may belong to another account than "
            f"{ring.account_id}.",
            hint="Check the credentials with `aws sts get-caller-identity`. Then run "
            f"`tokensvc keys reconcile --region {ring.region}` with credentials of account "
            f"{ring.account_id} that may call sts:GetCallerIdentity.",
        )


_RULES: tuple[Callable[[Observation], Step | WaitUntil | None], ...] = (
    _remove_compromised_keys,
    _discard_unusable_pairs,
    _record_restore,
    _destroy_retired_private_keys,
    _finish_deletion,
    _delete_retired_pairs_again,
    _record_signing_end,
    _record_terms_end,
    _require_consistent_with_ivs,
    _decommission,
    _publish_pending_pair,
    _switch_to_standby,
    _create_next_pair,
    _delete_drained_pair,
    _require_certain_account,
)


def _when_a_slot_is_free(observation: Observation, step: Step) -> Step | WaitUntil | None:
    if not observation.is_full:
        return step
    active = observation.ring.active
    if active is not None and active.is_compromised:
        return Step(Action.WITHDRAW, active.key_id)
    if drain_ends(observation.ring):
        # `_delete_drained_pair` frees the slot later, and returns the time until which to wait.
        return None
    raise no_free_slot(observation.ring, observation.held)
