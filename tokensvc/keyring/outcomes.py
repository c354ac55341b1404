"""The outcomes of steps as values, and the pure record of an outcome in the ring.

`effects` performs a step and returns its outcome; `plan` invents one. `recorded` is the same for
both.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from tokensvc.arns import PlaybackKeyArn
from tokensvc.keyring.drains import with_restore_recorded, with_terms_end
from tokensvc.keyring.model import Act, Ring
from tokensvc.keyring.steps import Action, Step
from tokensvc.token.p384 import PublicKey


@dataclass(frozen=True, slots=True)
class NewKeyId:
    """The key ID of a new key pair, which no other key pair has."""

    key_id: str


@dataclass(frozen=True, slots=True)
class Generated:
    """The public key of a private key that custody has generated, and custody's name for it."""

    public_key: PublicKey
    handle: str | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """The ARN of a key pair that IVS holds now."""

    arn: PlaybackKeyArn


@dataclass(frozen=True, slots=True)
class Destroyed:
    """When a private key is permanently gone, in Unix seconds."""

    on: float


@dataclass(frozen=True, slots=True)
class Performed:
    """The outcome of a step that returns no value: its effect, if it has one, is done."""


Outcome = NewKeyId | Generated | Imported | Destroyed | Performed


def recorded(ring: Ring, step: Step, outcome: Outcome, act: Act) -> Ring:  # noqa: C901, PLR0911, PLR0912 # One case for each action.
    """The ring after that step.

    Args:
        ring: the ring before the step.
        step: the step.
        outcome: the outcome of its effect.
        act: who did it and why, and a time that was read after the effect.

    Raises:
        RotationRefused: when the states of the key pairs don't allow the step.
    """
    key_id = step.key_id
    match step.action, outcome:
        case Action.NEW_PAIR, NewKeyId(new_key_id):
            return ring.with_new_pair(new_key_id, act)
        case Action.MAKE, Generated(public_key, handle):
            return ring.with_public_key(key_id, public_key, handle)
        case ((Action.IMPORT | Action.RECORD_IMPORT), Imported(arn)):
            return ring.published(key_id, arn, act)
        case Action.SWITCH, Performed():
            return ring.switched_to(key_id, _act_of_switch(ring, act))
        case Action.STOP, Performed():
            return ring.stopped(key_id, act)
        case Action.RECORD_SIGNING_END, Performed():
            # The switch was already saved before the time of this act was read (rule 4).
            return ring.signing_ended(key_id, act.at)
        case Action.RECORD_TERMS_END, Performed():
            # So were the lower terms.
            return with_terms_end(ring, act.at)
        case Action.RECORD_RESTORE, Performed():
            # So was the restored ring.
            return with_restore_recorded(ring, act.at)
        case ((Action.WITHDRAW | Action.DISCARD), Performed()):
            return ring.withdrawn(key_id, act)
        case Action.INTEND_DELETE, Performed():
            return ring.delete_intended(key_id, act.at)
        case ((Action.DELETE | Action.RECORD_DELETE), Performed()):
            return ring.retired(key_id, act)
        case Action.DELETE_AGAIN, Performed():
            return ring.deleted_again(key_id, act)
        case Action.DESTROY, Destroyed(on):
            return ring.destroyed(key_id, on)
    raise TypeError(f"{outcome} is not an outcome of {step}.")


def _act_of_switch(ring: Ring, act: Act) -> Act:
    if ring.rotation_request is not None and ring.rotation_request.is_urgent:
        return dataclasses.replace(act, why=f"{act.why} (urgent: no publish delay)")
    return act
