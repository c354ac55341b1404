"""The commands that are killed, each in a situation, with the calls and the steps that it makes."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from tests.crash import scenarios
from tests.crash.deployment import Scenario
from tokensvc.keyring.steps import Action


@dataclass(frozen=True)
class Case:
    """A command that is killed.

    Attributes:
        name: what the command does in which situation.
        command: the name of the command in `COMMANDS`.
        scenario: the situation before the command.
        calls: the names of all calls that the command makes; it is killed before and after each.
        actions: the rotation steps that it does.
    """

    name: str
    command: str
    scenario: Scenario
    calls: AbstractSet[str]
    actions: AbstractSet[Action]


ASK_IVS = {"ivs ListPlaybackKeyPairs", "ivs GetPlaybackKeyPair"}
IMPORT = {"ivs ImportPlaybackKeyPair"}
DELETE = {"ivs DeletePlaybackKeyPair"}
SAVE = {"state save"}
MAKE_FOLDER = {"os.mkdir"}
MAKE_FILE = {"os.open", "partial Path.write_bytes", "Path.write_bytes", "os.fsync", "os.link"}
REMOVE_FILE = {"os.unlink", "os.fsync"}  # A draft that is linked, or a private key file.
NEW_FILE = MAKE_FILE | REMOVE_FILE

NEW_PAIR = {Action.NEW_PAIR, Action.MAKE}
IMPORTED_PAIR = NEW_PAIR | {Action.IMPORT}
SWITCH = {Action.SWITCH, Action.RECORD_SIGNING_END}

CASES = (
    Case(
        "generate, as the first command",
        "generate",
        scenarios.empty,
        calls=SAVE | MAKE_FOLDER | NEW_FILE,
        actions=NEW_PAIR,
    ),
    Case("generate", "generate", scenarios.one_active, SAVE | NEW_FILE, NEW_PAIR),
    Case("import", "import", scenarios.one_active_one_pending, SAVE | IMPORT, {Action.IMPORT}),
    Case(
        "adopt",
        "adopt",
        scenarios.imported_key,
        calls=SAVE | MAKE_FOLDER | NEW_FILE | {"ivs GetPlaybackKeyPair"},
        actions=set(),
    ),
    Case(
        "reconcile, as the first command",
        "reconcile",
        scenarios.empty,
        calls=SAVE | MAKE_FOLDER | NEW_FILE | ASK_IVS | IMPORT,
        actions=IMPORTED_PAIR,
    ),
    Case(
        "reconcile switches to the first key",
        "reconcile",
        scenarios.published,
        calls=SAVE | NEW_FILE | ASK_IVS | IMPORT,
        actions=IMPORTED_PAIR | {Action.SWITCH},
    ),
    Case(
        "rotate",
        "rotate",
        scenarios.active_and_standby,
        calls=SAVE | NEW_FILE | ASK_IVS | IMPORT,
        actions=IMPORTED_PAIR | SWITCH,
    ),
    Case(
        "rotate on schedule with a foreign key pair in the last slot",
        "rotate on schedule",
        scenarios.active_and_standby_with_foreign_pair,
        calls=SAVE | ASK_IVS,
        actions=SWITCH,
    ),
    Case(
        "rollback",
        "rollback",
        scenarios.draining,
        calls=SAVE | ASK_IVS,
        actions={Action.RECORD_SIGNING_END},
    ),
    Case(
        "lower the terms during a drain",
        "lower terms",
        scenarios.draining,
        calls=SAVE | ASK_IVS,
        actions={Action.RECORD_TERMS_END},
    ),
    Case(
        "reconcile by a clock that is ahead, while a key drains",
        "reconcile ahead",
        scenarios.draining,
        calls=ASK_IVS,
        actions=set(),
    ),
    Case(
        "reconcile deletes the drained key and creates the next standby",
        "reconcile",
        scenarios.drained_with_foreign_pair,
        calls=SAVE | NEW_FILE | ASK_IVS | IMPORT | DELETE,
        actions=IMPORTED_PAIR | {Action.INTEND_DELETE, Action.DELETE, Action.DESTROY},
    ),
    Case(
        "reconcile after an import's answer was lost",
        "reconcile",
        scenarios.import_answer_lost,
        calls=SAVE | ASK_IVS,
        actions={Action.RECORD_IMPORT},
    ),
    Case(
        "reconcile after a delete's answer was lost",
        "reconcile",
        scenarios.delete_answer_lost,
        calls=SAVE | NEW_FILE | ASK_IVS,
        actions={Action.RECORD_DELETE, Action.DESTROY},
    ),
    Case(
        "reconcile decommissions the region, and the next one finds it in the settings again",
        "decommission",
        scenarios.active_and_standby,
        calls=SAVE | NEW_FILE | ASK_IVS | DELETE,
        actions={
            Action.WITHDRAW,
            Action.DELETE,
            Action.DESTROY,
            Action.STOP,
            Action.RECORD_SIGNING_END,
        },
    ),
    Case(
        "revoke the active key during a drain",
        "revoke",
        scenarios.active_compromised,
        calls=SAVE | NEW_FILE | ASK_IVS | IMPORT | DELETE,
        actions=IMPORTED_PAIR
        | {Action.SWITCH, Action.DESTROY, Action.INTEND_DELETE, Action.DELETE},
    ),
    Case(
        "revoke all",
        "revoke",
        scenarios.all_compromised,
        calls=SAVE | NEW_FILE | ASK_IVS | IMPORT | DELETE,
        actions=IMPORTED_PAIR
        | {Action.SWITCH, Action.WITHDRAW, Action.DESTROY, Action.INTEND_DELETE, Action.DELETE},
    ),
    Case(
        "revoke the only key, with foreign key pairs in the other slots",
        "revoke",
        scenarios.compromised_with_foreign_pairs,
        calls=SAVE | NEW_FILE | ASK_IVS | IMPORT | DELETE,
        actions=IMPORTED_PAIR | {Action.WITHDRAW, Action.DESTROY, Action.DELETE, Action.SWITCH},
    ),
    Case(
        "revoke after an import's answer was lost",
        "revoke",
        scenarios.compromised_after_lost_answer,
        calls=SAVE | NEW_FILE | ASK_IVS | IMPORT | DELETE,
        actions=IMPORTED_PAIR | {Action.WITHDRAW, Action.DESTROY, Action.DELETE},
    ),
    Case(
        "revoke the active key, whose standby has no private key",
        "revoke",
        scenarios.standby_without_private_key,
        calls=SAVE | NEW_FILE | ASK_IVS | IMPORT | DELETE,
        actions=IMPORTED_PAIR
        | {Action.DISCARD, Action.SWITCH, Action.DESTROY, Action.INTEND_DELETE, Action.DELETE},
    ),
    Case(
        "revoke the active key, whose standby is gone from IVS",
        "revoke",
        scenarios.standby_gone_from_ivs,
        calls=SAVE | NEW_FILE | ASK_IVS | IMPORT | DELETE,
        actions=IMPORTED_PAIR
        | {Action.DISCARD, Action.RECORD_DELETE, Action.SWITCH}
        | {Action.DESTROY, Action.INTEND_DELETE, Action.DELETE},
    ),
    Case(
        "revoke the active key during a drain, with a standby that has no private key",
        "revoke",
        scenarios.draining_key_takes_over,
        calls=SAVE | NEW_FILE | ASK_IVS | IMPORT | DELETE,
        actions=IMPORTED_PAIR
        | {Action.DISCARD, Action.SWITCH, Action.DESTROY, Action.INTEND_DELETE, Action.DELETE},
    ),
    Case(
        "reconcile deletes a retired key pair that was imported late",
        "reconcile",
        scenarios.imported_late,
        calls=SAVE | ASK_IVS | DELETE,
        actions={Action.DELETE_AGAIN},
    ),
    Case(
        "reconcile decommissions a region whose standby signed before a restore",
        "decommission",
        scenarios.restored,
        calls=SAVE | ASK_IVS,
        actions={Action.RECORD_RESTORE, Action.WITHDRAW, Action.STOP, Action.RECORD_SIGNING_END},
    ),
    Case(
        "rewrap",
        "rewrap",
        scenarios.encrypted_with_previous_secret,
        calls=MAKE_FILE - {"os.link"} | {"os.replace"},
        actions=set(),
    ),
)
