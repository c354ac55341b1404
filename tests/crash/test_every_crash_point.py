"""A command may be killed at any time, and `keys reconcile` repairs what it left.

Each command runs once to its end, to find the crash points before and after each file operation,
state write and IVS call. Then, for each crash point, a child is killed there and a reconcile
follows. The tests check the rules afterwards, and advance the time until the last token has
expired. Many crash points lead to equivalent rings, so the latter is done once for each of these.
With TEST_SIZE=full, every crash point is tested, otherwise some of each command.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.cases import CASES, Case
from tests.crash.commands import COMMANDS
from tests.crash.deployment import Deployment, Prepared, Sandbox, sandbox_in
from tests.crash.fork_server import Outcome, Task
from tests.support.sizes import sized, spread
from tokensvc.errors import RotationRefused
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.rotator import Rotator
from tokensvc.keyring.steps import Action
from tokensvc.keyring.view import RingView

CRASH_POINTS = sized(short=6, full=None)  # For each command; None for all.
PUBLISH_DELAY_SECONDS = 60
VIEW_MAX_AGE_SECONDS = 120
DRAIN_SECONDS = 3_740  # 120 + 3,600 + 2 times 10, by hand.


@pytest.fixture(name="sandbox", scope="module")
def _sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with sandbox_in(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_reconcile_repairs_what_a_killed_command_left(
    case: Case, sandbox: Sandbox, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """No issued token is refused before it expires, and nothing is lost or left over."""
    with sandbox.prepare(case.scenario, tmp_path / "scenario") as prepared:
        complete = run_and_check(case, prepared, tmp_path / "complete")
        assert complete.exit_code == 0
        assert complete.uncounted == []
        assert set(complete.calls) == case.calls
        assert set(complete.actions) == {action.name for action in case.actions}

        points = spread(len(complete.calls), CRASH_POINTS)
        for count in points:
            killed = run_and_check(case, prepared, tmp_path / f"{count}", kill_after=count)
            assert killed.exit_code == -signal.SIGKILL
            assert killed.calls == complete.calls[:count]
        record_property("crash_points", len(points))


@pytest.mark.parametrize("name", ["rotate", "revoke all"])
def test_a_reconcile_that_is_killed_repeatedly_completes(
    name: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Each one is killed one call later than the one before, until one completes."""
    (case,) = (case for case in CASES if case.name == name)
    with (
        sandbox.prepare(case.scenario, tmp_path / "scenario") as prepared,
        prepared.copy(tmp_path / "copy") as deployment,
        deployment.world.view() as worker,
    ):
        assert run_in_child(case.command, deployment, kill_after=1).calls == ["state save"]
        kill_after = 0
        while (
            run_in_child("reconcile", deployment, kill_after=kill_after).exit_code
            == -signal.SIGKILL
        ):
            kill_after += 1
        assert kill_after > 5
        recover(case, deployment)
        run_until_tokens_expire(deployment, worker)


def test_a_change_outside_the_crash_points_is_detected(sandbox: Sandbox, tmp_path: Path) -> None:
    """The harness reports changes that it doesn't count, so a new way to write can't be missed."""
    task = Task("write outside crash points", {"path": f"{tmp_path}/a"}, str(tmp_path), 0)

    assert sandbox.fork_server.run_in_child(task).uncounted == ["open", "shutil.move"]


def test_the_cases_do_every_step_of_a_rotation() -> None:
    """A new step needs a case above."""
    assert set().union(*(case.actions for case in CASES)) == set(Action)


@pytest.mark.parametrize(
    ("component", "covered", "read_only"),
    [
        (
            Rotator,
            {
                "generate",
                "import_pair",
                "adopt",
                "request_rotation",
                "request_scheduled_rotation",
                "rollback",
                "lower_terms",
                "remove_compromised",
                "reconcile",
            },
            {"ring", "plan_rotation"},
        ),
        (FileCustody, {"create", "adopt", "destroy", "rewrap"}, {"signer", "key_ids"}),
    ],
    ids=["rotator", "custody"],
)
def test_every_method_that_changes_keys_has_a_case(
    component: type, covered: set[str], read_only: set[str]
) -> None:
    """A new method needs a case above and its name here."""
    assert {name for name in dir(component) if not name.startswith("_")} == covered | read_only


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
    world = deployment.world
    task = Task(command, deployment.arguments, str(world.folder), world.clock.now(), kill_after)
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
