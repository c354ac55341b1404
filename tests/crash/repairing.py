"""A killed command is repaired by `keys reconcile`: what follows a kill, and the checks of it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tests.crash.cases import Case
from tests.crash.commands import COMMANDS
from tests.crash.deployment import Deployment, Prepared
from tests.crash.fork_server import Outcome, Task
from tokensvc.errors import RotationRefused
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.view import RingView

PUBLISH_DELAY_SECONDS = 60
VIEW_MAX_AGE_SECONDS = 120
DRAIN_SECONDS = 3_740  # 120 + 3,600 + 2 times 10, by hand.


def run_and_check(
    case: Case, prepared: Prepared, folder: Path, kill_after: int | None = None
) -> Outcome:
    """Run the command in a copy, recover, check the rules; the outcome of the command."""
    with prepared.copy(folder) as deployment, contextlib.ExitStack() as ends:
        # A worker that reads the ring before the command, and not again.
        worker = (
            ends.enter_context(deployment.world.view()) if deployment.has_active_key() else None
        )
        outcome = run_in_child(case.command, deployment, kill_after)
        try:
            deployment.issue_token_if_a_key_signs()
            recover(case, deployment)
            equivalence_key = deployment.equivalence_key()
            if equivalence_key not in prepared.tested_keys:
                run_until_tokens_expire(deployment, worker)
                prepared.tested_keys.add(equivalence_key)
        except BaseException as exc:
            exc.add_note(f"The command was killed after these calls: {outcome.calls}.")
            raise
    return outcome


def run_in_child(command: str, deployment: Deployment, kill_after: int | None) -> Outcome:
    """Run the command on that deployment in a child; its outcome."""
    world, urls = deployment.world, deployment.world.storage.urls
    task = Task(
        command,
        deployment.arguments,
        str(world.folder),
        urls.state,
        urls.custody,
        world.clock.now(),
        kill_after,
    )
    return deployment.fork_server.run_in_child(task)


def recover(case: Case, deployment: Deployment) -> None:
    """Reconcile, as the operator does after a killed command, and repeat the command if needed."""
    deployment.world.reconcile()
    deployment.check(is_adopting=case.command == "adopt")
    if must_be_repeated(case, deployment):
        # Refused when the adopted key is already in the ring.
        with contextlib.suppress(RotationRefused):
            COMMANDS[case.command](deployment.world.command_context, deployment.arguments)
        deployment.world.reconcile()
        deployment.check()
    deployment.check_secret()
    for key_id in deployment.compromised_key_ids:
        pair = deployment.world.ring.pair(key_id)
        assert pair.is_compromised
        assert pair.state is KeyState.RETIRED
    deployment.check_tokens()


def must_be_repeated(case: Case, deployment: Deployment) -> bool:
    """Whether the command must be repeated: a reconcile can't know the command's arguments."""
    if case.command == "revoke":
        return not all(
            deployment.world.ring.pair(key_id).is_compromised
            for key_id in deployment.compromised_key_ids
        )
    return case.command in ("adopt", "rewrap")


def run_until_tokens_expire(deployment: Deployment, worker: RingView | None) -> None:
    """Issue tokens, and check for an hour that each plays until the second before it expires."""
    world, began_at = deployment.world, deployment.world.clock.now()
    if deployment.has_active_key():
        deployment.issue_token_from_new_view()
    if worker is not None:
        world.clock.advance(VIEW_MAX_AGE_SECONDS)
        deployment.issue_token_from(worker)
    if not deployment.has_active_key():
        world.clock.advance(PUBLISH_DELAY_SECONDS)
        world.reconcile()
        deployment.issue_token_from_new_view()
    deployment.check_tokens()

    for exp in sorted({token.exp for token in deployment.tokens}):
        if exp > world.clock.now():
            world.clock.advance(exp - 1 - world.clock.now())
            world.reconcile()
            deployment.check_tokens()

    # The tokens of a key that began to sign late may already outlive this drain.
    world.clock.advance(max(0, began_at + DRAIN_SECONDS - world.clock.now()))
    world.reconcile()
    deployment.check()
    assert world.ring.active is not None
    assert world.ring.in_state(KeyState.PENDING, KeyState.RETIRING) == ()

    if draft_ids := deployment.draft_key_ids():
        # A draft that a killed process left is deleted with its private key, also an adopted one.
        deployment.foreign_arns -= {str(world.ring.pair(key_id).arn) for key_id in draft_ids}
        world.revoke(draft_ids, "laptop lost")
        world.reconcile()
        deployment.check()
        assert not deployment.draft_key_ids()
