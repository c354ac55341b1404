"""A command may be killed at any time, and `keys reconcile` repairs what it left.

Each command runs once to its end, to find the crash points before and after each file operation,
state write and IVS call. Then, for each crash point, a child is killed there and a reconcile
follows. The tests check the rules afterwards, and advance the time until the last token has
expired. Many crash points lead to equivalent rings, so the latter is done once for each of these.
With TEST_SIZE=full, every crash point is tested, otherwise some of each command.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.cases import CASES, Case
from tests.crash.commands import files_in
from tests.crash.deployment import Sandbox, sandbox_in
from tests.crash.fork_server import Task
from tests.crash.repairing import recover, run_and_check, run_in_child, run_until_tokens_expire
from tests.support.sizes import sized, spread
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.rotator import Rotator
from tokensvc.keyring.steps import Action

CRASH_POINTS = sized(short=6, full=None)  # For each command; None for all.


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
    urls = files_in(tmp_path)
    arguments = {"path": f"{tmp_path}/a"}
    task = Task(
        "write outside crash points", arguments, str(tmp_path), urls.state, urls.custody, now=0
    )

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
