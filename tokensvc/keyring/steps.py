"""The steps of a rotation as values: what is done next, or until when nothing is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What a step does; the values are the identifiers that programs see."""

    NEW_PAIR = "new_pair"
    MAKE = "make"
    IMPORT = "import"
    RECORD_IMPORT = "record_import"
    SWITCH = "switch"
    STOP = "stop"
    RECORD_SIGNING_END = "record_signing_end"
    RECORD_TERMS_END = "record_terms_end"
    RECORD_RESTORE = "record_restore"
    WITHDRAW = "withdraw"
    DISCARD = "discard"
    INTEND_DELETE = "intend_delete"
    DELETE = "delete"
    DELETE_AGAIN = "delete_again"
    RECORD_DELETE = "record_delete"
    DESTROY = "destroy"


_SENTENCES = {
    Action.NEW_PAIR: "record a new key pair",
    Action.MAKE: "generate the private key of {key_id}",
    Action.IMPORT: "import {key_id} into IVS",
    Action.RECORD_IMPORT: "record that {key_id} is in IVS: the answer to its import was lost",
    Action.SWITCH: "check {key_id} and switch signing to it",
    Action.STOP: "stop signing with {key_id}",
    Action.RECORD_SIGNING_END: "record when signing with {key_id} ended",
    Action.RECORD_TERMS_END: "record when the earlier terms ended",
    Action.RECORD_RESTORE: "record when the ring was restored from a backup",
    Action.WITHDRAW: "withdraw {key_id} without a drain",
    Action.DISCARD: "discard {key_id}, which can't sign",
    Action.INTEND_DELETE: "record that {key_id} will be deleted from IVS",
    Action.DELETE: "delete {key_id} from IVS",
    Action.DELETE_AGAIN: "delete {key_id}, which is retired, from IVS again",
    Action.RECORD_DELETE: "record that {key_id} is deleted from IVS",
    Action.DESTROY: "destroy the private key of {key_id}",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do now. `key_id` is empty when the step is not about one key pair."""

    action: Action
    key_id: str = ""

    @property
    def sentence(self) -> str:
        """What the step does, for people."""
        return _SENTENCES[self.action].format(key_id=self.key_id)


class WaitReason(StrEnum):
    """Why the next step is not due yet; the values are the identifiers that programs see."""

    PUBLISH_DELAY = "publish_delay"
    DRAIN = "drain"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Nothing may be done before a time.

    Attributes:
        at: the time, Unix seconds.
        reason: why.
        key_id: the key pair that the wait is about.
        why: the reason, for people.
    """

    at: float
    reason: WaitReason
    key_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do."""
