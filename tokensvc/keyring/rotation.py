"""The rules of rotation, and from them the next step of a ring.

 1. At most one key of a ring is active; only the active key signs.
 2. A key becomes active only when it has been published for `publish_delay_seconds`, a self-check
    has passed (sign, verify, IVS's fingerprint equals ours), and the canary, where one is set, was
    answered with anything but 403. Workers load and probe a published key when they first see it.
    Two rotators' clocks may tell the delay, so it covers an import of all but the clock skew.
 3. A process signs only from a view of the ring no older than `view_max_age_seconds`, counted from
    when the read was sent. One reading of the clock serves this check, `exp` and the session
    version.
 4. A retiring key is deleted from IVS only `drain_seconds` after `signing_ended_at`: the oldest
    view, the longest token, twice the clock skew. That moment is read after the switch was
    acknowledged and is saved in a second write; until it is there nothing is deleted.
 5. Never more than three pairs in a region. Ours means recorded in this ring with the same
    fingerprint; the tag only helps to find. A stranger is named, never deleted. A ring that IVS
    contradicts goes no further without a person: one that knows less than IVS holds or signs with
    what IVS doesn't hold, being an old copy; an empty one beside another deployment's pairs.
 6. Before each remote effect its intent is saved, and every step can be run again: a crash at any
    point leaves a ring that `reconcile` completes.
 7. A save is compare-and-set. Of two rotators one wins, and the other says so.
 8. A private half is destroyed only after IVS has confirmed the delete; a stolen one's at once.
 9. The next standby is made as soon as the switch is done, into the third slot. A second rotation
    during a drain is refused with the time left, unless it is forced, which spends the standby.
10. Emergency: a stolen key leaves without a drain. Stolen pairs that don't sign go first. One that
    signs goes as soon as another signs: the standby, or a fresh pair, without rule 2's delay. When
    strangers leave no slot for a fresh one, the stolen one goes first and nothing signs meanwhile.
    The canary of rule 2 is not asked.
11. Rotation runs as a command or a scheduled job, never inside a web worker.

`next_step` is pure: the same ring, the same pairs held by IVS and the same time give the same step.
A region removed from the settings (`decommissioning`) gets no new key: its active key drains.
Rules 3 and 11 are the business of `view`, 7 of `store`, 2's checks and 6's order of `rotator`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tokensvc.clock import rfc3339
from tokensvc.errors import RotationRefused
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.model import MOST_PAIRS_IN_IVS, KeyPair, KeyState, Ring
from tokensvc.keyring.ownership import Owner, held_by, is_held, slot_listing


class Action(StrEnum):
    """What a step does; the values are the identifiers that programs see."""

    NEW_PAIR = "new_pair"
    MAKE = "make"
    IMPORT = "import"
    RECORD_IMPORT = "record_import"
    SWITCH = "switch"
    STOP = "stop"
    RECORD_SIGNING_END = "record_signing_end"
    WITHDRAW = "withdraw"
    INTEND_DELETE = "intend_delete"
    DELETE = "delete"
    RECORD_DELETE = "record_delete"
    DESTROY = "destroy"


_SENTENCES = {
    Action.NEW_PAIR: "record a new key pair",
    Action.MAKE: "generate the private key of",
    Action.IMPORT: "import into IVS",
    Action.RECORD_IMPORT: "record the import, whose answer was lost, of",
    Action.SWITCH: "run the checks and switch signing to",
    Action.STOP: "stop signing with",
    Action.RECORD_SIGNING_END: "record the end of signing with",
    Action.WITHDRAW: "withdraw without a drain",
    Action.INTEND_DELETE: "record the decision to delete from IVS",
    Action.DELETE: "delete from IVS",
    Action.RECORD_DELETE: "record as deleted from IVS",
    Action.DESTROY: "destroy the private key of",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do now; `key_id` is empty when the step makes one."""

    action: Action
    key_id: str = ""

    @property
    def sentence(self) -> str:
        """What the step does, for people."""
        return f"{_SENTENCES[self.action]} {self.key_id}".strip()


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Nothing may be done before `at` (Unix seconds); `why` names what is waited for."""

    at: float
    why: str


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do."""


@dataclass(frozen=True, slots=True)
class Observation:
    """All that the next step depends on: the ring, the pairs that IVS holds, and the time."""

    ring: Ring
    held: Sequence[HeldKeyPair]
    now: float
    keep_standby: bool = True
    decommissioning: bool = False

    def held_match(self, pair: KeyPair) -> HeldKeyPair | None:
        """What IVS holds under that pair's fingerprint, or under its ARN (rule 5)."""
        for held in self.held:
            same_key = pair.public_key and held.fingerprint == pair.public_key.fingerprint
            if same_key or held.arn == pair.arn:
                return held
        return None

    @property
    def is_full(self) -> bool:
        """Whether IVS would refuse another pair."""
        return len(self.held) >= MOST_PAIRS_IN_IVS


def next_step(
    ring: Ring,
    held_by_ivs: Sequence[HeldKeyPair],
    now: float,
    *,
    keep_standby: bool = True,
    decommissioning: bool = False,
) -> Step | WaitUntil | Done:
    """What to do next with the ring, or until when to wait, or that nothing is left.

    Args:
        ring: the ring.
        held_by_ivs: every key pair that IVS holds in the region.
        now: Unix seconds.
        keep_standby: whether the next standby is made as soon as a switch is done (rule 9).
        decommissioning: whether the region was removed from the settings.

    Raises:
        RotationRefused: when going on takes a decision that only a person can make.
    """
    observation = Observation(ring, held_by_ivs, now, keep_standby, decommissioning)
    waits = []
    for rule in _IN_ORDER:
        match rule(observation):
            case Step() as step:
                return step
            case WaitUntil() as wait:
                waits.append(wait)
            case None:
                pass
    return min(waits, key=lambda wait: wait.at, default=Done())


def step_without_ivs(ring: Ring) -> Step | None:
    """What is due about stolen pairs that don't sign; it waits for no answer of IVS (rule 8)."""
    for pair in ring.pairs:
        if not pair.is_compromised or pair.state in (KeyState.ACTIVE, KeyState.RETIRED):
            continue
        if pair.state is not KeyState.RETIRING:
            return Step(Action.WITHDRAW, pair.key_id)
        if pair.destroyed_on is None:
            return Step(Action.DESTROY, pair.key_id)
        if pair.delete_intended_at is None:
            return Step(Action.INTEND_DELETE, pair.key_id)
    return None


def drain_ends(ring: Ring) -> Sequence[tuple[float, KeyPair]]:
    """When (Unix seconds) each retiring pair may leave IVS, soonest first (rule 4)."""
    drain = ring.terms.drain_seconds
    return sorted(
        (
            (pair.signing_ended_at + drain, pair)
            for pair in ring.in_state(KeyState.RETIRING)
            if pair.signing_ended_at is not None
        ),
        key=lambda end: end[0],
    )


def rotation_refusal(ring: Ring, now: float) -> str:
    """Why another rotation may not begin now unforced, or "" when it may (rule 9)."""
    for ends_at, pair in drain_ends(ring):
        if ends_at <= now:
            return f"{pair.key_id} has drained; `tokensvc keys reconcile` lets it go now."
        return (
            f"Tokens signed by {pair.key_id} may play until {rfc3339(ends_at)}, "
            f"{max(0, round(ends_at - now))} s from now."
        )
    if draining := ring.in_state(KeyState.RETIRING):
        return f"The switch away from {draining[0].key_id} is not finished."
    return ""


def rotation_is_due(ring: Ring, max_age_seconds: float, now: float) -> bool:
    """Whether a scheduled rotation may begin now: the active key has signed for that long."""
    active = ring.active
    if active is None or active.activated_at is None or active.is_compromised:
        return False
    is_free = ring.rotation_request is None and not rotation_refusal(ring, now)
    return is_free and now - active.activated_at >= max_age_seconds


# --- The rules as functions, in the order in which they are asked. What makes a stolen or unneeded
# --- key harmless comes first, then what lets viewers go on, then what prepares the next switch.


def _withdraw_compromised_keys(observation: Observation) -> Step | None:
    return step_without_ivs(observation.ring)


def _destroy_what_ivs_let_go(observation: Observation) -> Step | None:
    for pair in observation.ring.in_state(KeyState.RETIRED):
        if pair.destroyed_on is None:
            return Step(Action.DESTROY, pair.key_id)
    return None


def _finish_a_deletion(observation: Observation) -> Step | None:
    for pair in observation.ring.in_state(KeyState.RETIRING):
        if pair.delete_intended_at is not None:
            gone = observation.held_match(pair) is None
            return Step(Action.RECORD_DELETE if gone else Action.DELETE, pair.key_id)
    return None


def _end_signing(observation: Observation) -> Step | None:
    for pair in observation.ring.in_state(KeyState.RETIRING):
        if pair.signing_ended_at is None and not pair.is_compromised:
            return Step(Action.RECORD_SIGNING_END, pair.key_id)
    return None


def _doubt(observation: Observation) -> None:
    """Refuse what takes a person: the steps after this one make, sign with or delete key pairs."""
    ring, held = observation.ring, observation.held
    if ring.rotation_request is not None and ring.rotation_request.is_urgent:
        # A person has decided, and what comes in the stolen key's place is checked with IVS.
        return
    if (
        not ring.pairs
        and not observation.decommissioning
        and held_by(Owner.OTHER_DEPLOYMENT, ring, held)
    ):
        raise RotationRefused(
            f"There is no key pair of {ring.region} in this state, and IVS holds some of another "
            f"deployment:\n{slot_listing(ring, held)}",
            hint="Use that deployment's state (setting state.url), or a copy of it. To begin "
            f"anew beside it: `tokensvc keys generate --region {ring.region}`.",
        )
    active = ring.active
    if active is not None and not active.is_compromised and not is_held(active, held):
        raise RotationRefused(
            f"IVS does not hold {active.key_id} ({active.arn}), which signs in {ring.region}: its "
            "tokens are refused. It was deleted, or this state is older than what IVS holds, or "
            f"these AWS credentials are not of account {ring.account_id}.",
            hint="Check the credentials: `aws sts get-caller-identity`. If this state is an old "
            "copy, restore the newest one. If there is none: "
            f"`tokensvc keys revoke {active.key_id}` lets another sign at once.",
        )
    if unrecorded := held_by(Owner.UNRECORDED, ring, held):
        raise RotationRefused(
            f"IVS holds {len(unrecorded)} of this deployment's key pairs in {ring.region} that "
            "this state has no record of, so it is older than what IVS holds:\n"
            + slot_listing(ring, held),
            hint="Restore the newest state. If it is lost and nothing signs with them any more, "
            "delete them with the calls above, then run `tokensvc keys reconcile`.",
        )


def _decommission(observation: Observation) -> Step | None:
    if not observation.decommissioning:
        return None
    for pair in observation.ring.in_state(KeyState.PENDING, KeyState.PUBLISHED):
        return Step(Action.WITHDRAW, pair.key_id)
    active = observation.ring.active
    return None if active is None else Step(Action.STOP, active.key_id)


def _publish(observation: Observation) -> Step | WaitUntil | None:
    for pair in observation.ring.in_state(KeyState.PENDING):
        if pair.public_key is None:
            return Step(Action.MAKE, pair.key_id)
        if observation.held_match(pair) is not None:
            return Step(Action.RECORD_IMPORT, pair.key_id)
        return _slot_free_for(observation, Step(Action.IMPORT, pair.key_id))
    return None


def _switch(observation: Observation) -> Step | WaitUntil | None:
    ring = observation.ring
    if ring.active is not None and ring.rotation_request is None:
        return None
    standby = ring.standby
    if standby is None or standby.published_at is None:
        return None
    ready_at = standby.published_at + ring.terms.publish_delay_seconds
    is_urgent = ring.rotation_request is not None and ring.rotation_request.is_urgent
    if observation.now < ready_at and not is_urgent:
        return WaitUntil(
            ready_at, f"{standby.key_id} must be known to IVS for a while before it signs"
        )
    return Step(Action.SWITCH, standby.key_id)


def _prepare(observation: Observation) -> Step | WaitUntil | None:
    ring = observation.ring
    if observation.decommissioning or ring.in_state(KeyState.PENDING, KeyState.PUBLISHED):
        return None
    if ring.rotation_request is not None or ring.active is None:
        return _slot_free_for(observation, Step(Action.NEW_PAIR))
    if observation.keep_standby and not observation.is_full:
        return Step(Action.NEW_PAIR)
    return None


def _retire(observation: Observation) -> Step | WaitUntil | None:
    for ends_at, pair in drain_ends(observation.ring):
        if observation.now < ends_at:
            return WaitUntil(ends_at, f"tokens signed by {pair.key_id} may play until then")
        return Step(Action.INTEND_DELETE, pair.key_id)
    return None


_IN_ORDER: tuple[Callable[[Observation], Step | WaitUntil | None], ...] = (
    _withdraw_compromised_keys,
    _destroy_what_ivs_let_go,
    _finish_a_deletion,
    _end_signing,
    _doubt,
    _decommission,
    _publish,
    _switch,
    _prepare,
    _retire,
)


def _slot_free_for(observation: Observation, step: Step) -> Step | WaitUntil | None:
    if not observation.is_full:
        return step
    active = observation.ring.active
    if active is not None and active.is_compromised:
        return Step(Action.WITHDRAW, active.key_id)
    if drain_ends(observation.ring):
        # `_retire` frees the slot in time, and names the moment until which to wait.
        return None
    raise RotationRefused(
        f"IVS holds {MOST_PAIRS_IN_IVS} key pairs in {observation.ring.region} and takes no more:\n"
        + slot_listing(observation.ring, observation.held),
        hint="Free a slot, then run `tokensvc keys reconcile`.",
    )
