"""On AWS too, a command may be killed at any time, and `keys reconcile` repairs what it left.

The state is a table in dynalite, and the custody is in moto's server. Each write of an item, and
each call that makes or destroys a private key, is a crash point: so a process is killed between the
body and the head of a document, between CreateKey and CreateAlias, and between CreateSecret and the
save of the ring. With TEST_SIZE=full every case runs, and those of the short form at every point.
"""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.crash.aws_storage import AwsStorage
from tests.crash.cases import CASES, Case
from tests.crash.deployment import Sandbox, sandbox_in
from tests.crash.repairing import run_and_check
from tests.crash.storage import Storage
from tests.support.dynalite import Dynalite
from tests.support.rewindable_moto import RewindableMoto, rewindable_moto_in
from tests.support.sizes import IS_FULL, spread
from tests.support.tables import Table
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.keyring.steps import Action

MAX_POINTS_OF_OTHERS = 8

SAVE = {"dynamodb PutItem", "dynamodb BatchWriteItem"}
CREATE = {
    "kms": {"kms CreateKey", "kms CreateAlias"},
    "secretsmanager": {"secretsmanager CreateSecret"},
}
DESTROY = {
    "kms": {"kms DisableKey", "kms ScheduleKeyDeletion"},
    "secretsmanager": {"secretsmanager DeleteSecret"},
}

SHORT: Mapping[str, AbstractSet[str]] = {
    "rotate": {"dynamodb PutItem", *CREATE["kms"], *CREATE["secretsmanager"]},
    "revoke the active key during a drain": DESTROY["kms"] | DESTROY["secretsmanager"],
}
"""The cases of the short form. Each is killed after the first one of these calls."""


@dataclass
class Place:
    """The servers of all cases: the sandbox, the table in dynalite, and moto with its clients."""

    sandbox: Sandbox
    table: Table
    moto: RewindableMoto
    clients: AwsClients

    def with_custody(self, kind: str) -> Sandbox:
        """The sandbox whose deployments are in an empty table and an empty custody of that kind."""

        def make_storage(_: Path) -> Storage:
            clock = self.sandbox.clock
            return AwsStorage(kind, self.table, self.moto, self.clients, clock).emptied()

        return dataclasses.replace(self.sandbox, make_storage=make_storage)


@pytest.fixture(name="place", scope="module")
def _place(dynalite: Dynalite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("aws")
    table = Table(dynalite.url)
    with (
        rewindable_moto_in(folder) as moto,
        sandbox_in(
            folder, {**moto.environment, "AWS_ENDPOINT_URL_DYNAMODB": dynalite.url}
        ) as sandbox,
        closing(AwsClients(AwsTerms())) as clients,
        table.opened,
    ):
        table.make()
        yield Place(sandbox, table, moto, clients)


def cases() -> list[Case]:
    """All but the one for private key files, or those of the short form."""
    return [case for case in CASES if case.command != "rewrap" and (IS_FULL or case.name in SHORT)]


@pytest.mark.parametrize("kind", ["secretsmanager", "kms"])
@pytest.mark.parametrize("case", cases(), ids=[case.name for case in cases()])
def test_reconcile_repairs_what_a_killed_command_left_on_aws(
    case: Case,
    kind: str,
    place: Place,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """No issued token is refused before it expires, and no secret or KMS key is lost or left."""
    if case.command == "adopt" and kind == "kms":
        pytest.skip("KMS adopts no private key.")
    with place.with_custody(kind).prepare(case.scenario, tmp_path / "scenario") as prepared:
        complete = run_and_check(case, prepared, tmp_path / "complete")
        assert complete.exit_code == 0
        assert set(complete.calls) == expected_calls(case, kind)
        assert set(complete.actions) == {action.name for action in case.actions}

        points = crash_points(case, complete.calls)
        for count in points:
            killed = run_and_check(case, prepared, tmp_path / f"{count}", kill_after=count)
            assert killed.exit_code == -signal.SIGKILL
            assert killed.calls == complete.calls[:count]
            # A key without its alias can't be found by its ID: `keys doctor` finds it.
            unnamed = killed.calls.count("kms CreateKey") - killed.calls.count("kms CreateAlias")
            assert prepared.deployment.world.storage.remains() == unnamed
        record_property("crash_points", len(points))


def crash_points(case: Case, calls: Sequence[str]) -> Sequence[int]:
    """The points at which that case is killed, by the calls that it makes when it is not."""
    if case.name not in SHORT:
        return spread(len(calls), MAX_POINTS_OF_OTHERS)
    if IS_FULL:
        return range(len(calls) + 1)
    return sorted(calls.index(name) + 1 for name in SHORT[case.name] & set(calls))


def expected_calls(case: Case, kind: str) -> AbstractSet[str]:
    """The calls that the case makes on AWS, with the custody of that kind."""
    of_ivs = {call for call in case.calls if call.startswith("ivs ")}
    creates = Action.MAKE in case.actions or case.command == "adopt"
    return (
        of_ivs
        | (SAVE if "state save" in case.calls else set())
        | (CREATE[kind] if creates else set())
        | (DESTROY[kind] if Action.DESTROY in case.actions else set())
    )
