"""Every crash point: a command may be killed at any instant, and `reconcile` makes it good.

Each command runs once to its end, which tells the points before and after each file operation,
state write and IVS call. Then, for each point, a child is killed there and a reconcile follows.
What it makes of the remains is held to the rules, and time goes on until the last token has
expired: once for each ring that comes out, as many points lead to the same.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.crash import scenes
from tests.crash.acts import ACTS
from tests.crash.stage import Prepared, Scene, Site, Stage, site_in
from tests.crash.warm_parent import Errand, Outcome
from tokensvc.errors import RotationRefused
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.rotation import Action
from tokensvc.keyring.rotator import Rotator
from tokensvc.keyring.view import RingView

PUBLISH_DELAY_SECONDS = 60
VIEW_MAX_AGE_SECONDS = 120
DRAIN_SECONDS = 3_740  # 120 + 3,600 + 2 times 10, by hand.


@dataclass(frozen=True)
class Case:
    """A command that dies.

    Attributes:
        name: what is done, in which situation.
        act: its name in `ACTS`.
        scene: what was before.
        calls: the names of all calls that the command makes, before and after which it dies.
        actions: the steps of the rotation that it does.
    """

    name: str
    act: str
    scene: Scene
    calls: AbstractSet[str]
    actions: AbstractSet[Action]


ASK_IVS = {"ivs ListPlaybackKeyPairs", "ivs GetPlaybackKeyPair"}
IMPORT = {"ivs ImportPlaybackKeyPair"}
DELETE = {"ivs DeletePlaybackKeyPair"}
SAVE = {"state save"}
MAKE_FOLDER = {"os.mkdir"}
MAKE_FILE = {"os.open", "half of Path.write_bytes", "Path.write_bytes", "os.fsync", "os.link"}
REMOVE_FILE = {"os.unlink", "os.fsync"}  # Of a private half, or of its draft once that is linked.
NEW_FILE = MAKE_FILE | REMOVE_FILE

NEW_PAIR = {Action.NEW_PAIR, Action.MAKE}
IMPORTED_PAIR = NEW_PAIR | {Action.IMPORT}
SWITCH = {Action.SWITCH, Action.RECORD_SIGNING_END}

CASES = (
    Case(
        "generate, as the first command",
        "generate",
        scenes.nothing,
        calls=SAVE | MAKE_FOLDER | NEW_FILE,
        actions=NEW_PAIR,
    ),
    Case("generate", "generate", scenes.one_active, SAVE | NEW_FILE, NEW_PAIR),
    Case("import", "import", scenes.one_active_one_pending, SAVE | IMPORT, {Action.IMPORT}),
    Case(
        "adopt",
        "adopt",
        scenes.an_imported_key,
        calls=SAVE | MAKE_FOLDER | NEW_FILE | {"ivs GetPlaybackKeyPair"},
        actions=set(),
    ),
    Case(
        "reconcile, as the first command",
        "reconcile",
        scenes.nothing,
        calls=SAVE | MAKE_FOLDER | NEW_FILE | ASK_IVS | IMPORT,
        actions=IMPORTED_PAIR,
    ),
    Case(
        "reconcile lets the first key sign",
        "reconcile",
        scenes.published,
        calls=SAVE | NEW_FILE | ASK_IVS | IMPORT,
        actions=IMPORTED_PAIR | {Action.SWITCH},
    ),
    Case(
        "rotate",
        "rotate",
        scenes.settled,
        calls=SAVE | NEW_FILE | ASK_IVS | IMPORT,
        actions=IMPORTED_PAIR | SWITCH,
    ),
    Case(
        "rotate beside a stranger",
        "rotate",
        scenes.settled_beside_a_stranger,
        calls=SAVE | ASK_IVS,
        actions=SWITCH,
    ),
    Case(
        "reconcile retires and deletes, and makes the next standby",
        "reconcile",
        scenes.drained_beside_a_stranger,
        calls=SAVE | NEW_FILE | ASK_IVS | IMPORT | DELETE,
        actions=IMPORTED_PAIR | {Action.INTEND_DELETE, Action.DELETE, Action.DESTROY},
    ),
    Case(
        "reconcile after an import's answer was lost",
        "reconcile",
        scenes.import_answer_lost,
        calls=SAVE | ASK_IVS,
        actions={Action.RECORD_IMPORT},
    ),
    Case(
        "reconcile after a delete's answer was lost",
        "reconcile",
        scenes.delete_answer_lost,
        calls=SAVE | REMOVE_FILE | ASK_IVS,
        actions={Action.RECORD_DELETE, Action.DESTROY},
    ),
    Case(
        "reconcile leaves the region, and the next one finds it in the settings again",
        "leave",
        scenes.settled,
        calls=SAVE | REMOVE_FILE | ASK_IVS | DELETE,
        actions={
            Action.WITHDRAW,
            Action.DELETE,
            Action.DESTROY,
            Action.STOP,
            Action.RECORD_SIGNING_END,
        },
    ),
    Case(
        "revoke the key that signs, during a drain",
        "revoke",
        scenes.active_stolen,
        calls=SAVE | NEW_FILE | ASK_IVS | IMPORT | DELETE,
        actions=IMPORTED_PAIR
        | {Action.SWITCH, Action.DESTROY, Action.INTEND_DELETE, Action.DELETE},
    ),
    Case(
        "revoke all",
        "revoke",
        scenes.all_stolen,
        calls=SAVE | NEW_FILE | ASK_IVS | IMPORT | DELETE,
        actions=IMPORTED_PAIR
        | {Action.SWITCH, Action.WITHDRAW, Action.DESTROY, Action.INTEND_DELETE, Action.DELETE},
    ),
    Case(
        "revoke the one key, among strangers",
        "revoke",
        scenes.stolen_among_strangers,
        calls=SAVE | NEW_FILE | ASK_IVS | IMPORT | DELETE,
        actions=IMPORTED_PAIR | {Action.WITHDRAW, Action.DESTROY, Action.DELETE, Action.SWITCH},
    ),
    Case(
        "revoke after an import's answer was lost",
        "revoke",
        scenes.stolen_after_a_lost_answer,
        calls=SAVE | NEW_FILE | ASK_IVS | IMPORT | DELETE,
        actions=IMPORTED_PAIR | {Action.WITHDRAW, Action.DESTROY, Action.DELETE},
    ),
    Case(
        "rewrap",
        "rewrap",
        scenes.under_the_previous_secret,
        calls=MAKE_FILE - {"os.link"} | {"os.replace"},
        actions=set(),
    ),
)


@pytest.fixture(name="site", scope="module")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_in(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_reconcile_makes_good_whatever_a_kill_left(
    case: Case, site: Site, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """No token that was given out is refused before its time, and nothing is lost or left over."""
    with site.set(case.scene, tmp_path / "scene") as prepared:
        whole = run(case, prepared, tmp_path / "whole")
        assert whole.exit_code == 0
        assert whole.uncounted == []
        assert set(whole.calls) == case.calls
        assert set(whole.actions) == {action.name for action in case.actions}

        for count in range(len(whole.calls) + 1):
            killed = run(case, prepared, tmp_path / f"{count}", die_after=count)
            assert killed.exit_code == -signal.SIGKILL
            assert killed.calls == whole.calls[:count]
        record_property("crash_points", len(whole.calls) + 1)


@pytest.mark.parametrize("name", ["rotate", "revoke all"])
def test_a_reconcile_killed_again_and_again_gets_there(
    name: str, site: Site, tmp_path: Path
) -> None:
    """Each one is killed a call later than the one before, until one comes to its end."""
    (case,) = (case for case in CASES if case.name == name)
    with (
        site.set(case.scene, tmp_path / "scene") as prepared,
        prepared.copy(tmp_path / "copy") as stage,
        stage.world.view() as worker,
    ):
        assert send(case.act, stage, die_after=1).calls == ["state save"]
        died = 0
        while send("reconcile", stage, die_after=died).exit_code == -signal.SIGKILL:
            died += 1
        assert died > 5
        recover(case, stage)
        live_on(stage, worker)


def test_a_change_past_the_crash_points_is_noticed(site: Site, tmp_path: Path) -> None:
    """What the harness doesn't count it tells: it can't be silent about a new way to write."""
    errand = Errand("write past the points", {"path": f"{tmp_path}/a"}, str(tmp_path), 0)

    assert site.parent.send(errand).uncounted == ["open", "shutil.move"]


def test_the_cases_do_every_step_of_a_rotation() -> None:
    """A new step is covered, or this fails."""
    assert set().union(*(case.actions for case in CASES)) == set(Action)


@pytest.mark.parametrize(
    ("room", "covered", "only_looks"),
    [
        (
            Rotator,
            {"generate", "import_pair", "adopt", "request_rotation", "revoke", "reconcile"},
            {"ring", "plan_rotation"},
        ),
        (FileCustody, {"create", "adopt", "destroy", "rewrap"}, {"signer", "key_ids"}),
    ],
    ids=["rotator", "custody"],
)
def test_whatever_changes_keys_has_a_case(
    room: type, covered: set[str], only_looks: set[str]
) -> None:
    """A new operation is given a case above and named here, or this fails."""
    assert {name for name in vars(room) if not name.startswith("_")} == covered | only_looks


def run(case: Case, prepared: Prepared, folder: Path, die_after: int | None = None) -> Outcome:
    """What became of the command, after all that follows it has been held to the rules."""
    with prepared.copy(folder) as stage, contextlib.ExitStack() as ends:
        # A worker that reads the ring before the command, and never again.
        worker = ends.enter_context(stage.world.view()) if stage.has_active_key() else None
        outcome = send(case.act, stage, die_after)
        try:
            recover(case, stage)
            future = stage.future()
            if future not in prepared.futures_lived:
                live_on(stage, worker)
                prepared.futures_lived.add(future)
        except BaseException as exc:
            exc.add_note(f"The command died after these calls: {outcome.calls}.")
            raise
    return outcome


def send(act: str, stage: Stage, die_after: int | None) -> Outcome:
    """What became of a child that did the act on that stage."""
    world = stage.world
    errand = Errand(act, stage.arguments, str(world.folder), world.clock.now(), die_after)
    return stage.parent.send(errand)


def recover(case: Case, stage: Stage) -> None:
    """What is done when a command was killed: reconcile; and the command again if it must be."""
    stage.world.reconcile()
    stage.check(is_adopting=case.act == "adopt")
    if is_to_be_repeated(case, stage):
        # Refused when the ring knows the adopted key already.
        with contextlib.suppress(RotationRefused):
            ACTS[case.act](stage.world.machine, stage.arguments)
        stage.world.reconcile()
        stage.check()
    stage.check_secret()
    for key_id in stage.stolen:
        stolen = stage.world.ring.pair(key_id)
        assert stolen.is_compromised
        assert stolen.state is KeyState.RETIRED
    stage.check_tokens()


def is_to_be_repeated(case: Case, stage: Stage) -> bool:
    """Whether it takes the command again: no reconcile knows what only the command was told."""
    if case.act == "revoke":
        return not all(stage.world.ring.pair(key_id).is_compromised for key_id in stage.stolen)
    return case.act in ("adopt", "rewrap")


def live_on(stage: Stage, worker: RingView | None) -> None:
    """The hour that follows: tokens are given out, and each plays up to its last second."""
    world, began_at = stage.world, stage.world.clock.now()
    if stage.has_active_key():
        stage.mint_by_a_fresh_view()
    if worker is not None:
        world.clock.advance(VIEW_MAX_AGE_SECONDS)
        stage.mint_by(worker)
    if not stage.has_active_key():
        world.clock.advance(PUBLISH_DELAY_SECONDS)
        world.reconcile()
        stage.mint_by_a_fresh_view()
    stage.check_tokens()

    for exp in sorted({token.exp for token in stage.tokens}):
        if exp > world.clock.now():
            world.clock.advance(exp - 1 - world.clock.now())
            world.reconcile()
            stage.check_tokens()

    # A key that began to sign late has tokens that outlive this drain already.
    world.clock.advance(max(0, began_at + DRAIN_SECONDS - world.clock.now()))
    world.reconcile()
    stage.check()
    assert world.ring.active is not None
    assert world.ring.in_state(KeyState.PENDING, KeyState.RETIRING) == ()

    if drafted := stage.ids_of_drafts():
        # What a killed maker left beside a private half goes with it, an adopted one's too.
        stage.strangers -= {str(world.ring.pair(key_id).arn) for key_id in drafted}
        world.rotator().revoke(drafted, "laptop lost")
        world.reconcile()
        stage.check()
        assert not stage.ids_of_drafts()
