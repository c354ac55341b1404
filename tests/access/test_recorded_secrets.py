"""Which viewer ID secrets a process must have to notice every ban."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.clock import ManualClock
from tokensvc.access.recorded_secrets import RecordedSecrets, load_recorded, record
from tokensvc.access.viewer_ids import ViewerIds
from tokensvc.errors import SchemaUnsupported, SettingsInvalid, StateDamaged
from tokensvc.state.base import NEW, Contents, Document
from tokensvc.state.sqlite import SqliteState
from tokensvc.state_restore import as_restored
from tokensvc.state_upgrade import upgrade_state

OLD, NEXT, OTHER = (bytes(range(start, start + 32)) for start in (0, 100, 200))


@pytest.fixture
def state(tmp_path: Path) -> SqliteState:
    """A new state."""
    state = SqliteState(tmp_path / "state.sqlite3", ManualClock())
    state.create()
    return state


@pytest.mark.parametrize(
    ("secrets", "recorded", "is_accepted"),
    [
        ([OLD], [], False),
        ([OLD], [OLD], True),
        ([OTHER], [OLD], False),
        ([OLD, NEXT], [OLD], True),
        ([NEXT, OLD], [OLD], False),
        ([OLD], [OLD, NEXT], False),
        ([OLD, NEXT], [OLD, NEXT], True),
        ([NEXT, OLD], [OLD, NEXT], True),
        ([NEXT], [OLD, NEXT], False),
        ([NEXT, OLD], [NEXT], True),
        ([NEXT], [NEXT], True),
    ],
)
def test_a_process_needs_every_recorded_secret_and_a_recorded_current_one(
    secrets: list[bytes], recorded: list[bytes], *, is_accepted: bool
) -> None:
    """The steps of a change, in which each step is refused that would miss a ban."""
    of_deployment = RecordedSecrets.of(ViewerIds(recorded))
    if is_accepted:
        of_deployment.require(ViewerIds(secrets))
    else:
        with pytest.raises(SettingsInvalid):
            of_deployment.require(ViewerIds(secrets))


def test_no_two_accepted_processes_miss_a_viewer_id_of_each_other() -> None:
    """For every record and every pair of lists that it accepts."""
    lists = [[OLD], [NEXT], [OLD, NEXT], [NEXT, OLD], [OTHER, OLD], [OLD, OTHER]]
    for of_deployment in (RecordedSecrets.of(ViewerIds(each)) for each in lists):
        accepted = [ViewerIds(each) for each in lists if accepts(of_deployment, each)]
        for one in accepted:
            minted = one.of("issuer", "ann")[0]
            assert all(minted in other.of("issuer", "ann") for other in accepted)


def accepts(recorded: RecordedSecrets, secrets: list[bytes]) -> bool:
    """Whether a process with these secrets may work."""
    try:
        recorded.require(ViewerIds(secrets))
    except SettingsInvalid:
        return False
    return True


def test_the_state_has_the_fingerprints_only(state: SqliteState) -> None:
    """Recorded again, nothing is written."""
    assert load_recorded(state) == RecordedSecrets()
    recorded = record(state, ViewerIds([OLD, NEXT]))
    version = state.version("viewer-ids")
    assert record(state, ViewerIds([NEXT, OLD])) == recorded == load_recorded(state)
    assert state.version("viewer-ids") == version
    document = state.load("viewer-ids")
    assert document is not None
    assert OLD.hex() not in document.body
    assert len(recorded.fingerprints) == 2


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ('{"schema_version":2,"fingerprints":[]}', StateDamaged),
        ('{"schema_version":2}', StateDamaged),
        ('{"schema_version":3,"fingerprints":[]}', SchemaUnsupported),
    ],
)
def test_a_document_of_no_use_is_refused(body: str, error: type[Exception]) -> None:
    """One without fingerprints would accept every process."""
    with pytest.raises(error):
        RecordedSecrets.decode(Document(body, NEW))


def test_the_record_survives_an_upgrade_and_a_restore(state: SqliteState) -> None:
    """A backup from before a change of the secret has the earlier record: nothing is lost."""
    recorded = record(state, ViewerIds([OLD]))
    assert list(upgrade_state(state)) == []
    document = state.load("viewer-ids")
    assert document is not None
    restored = as_restored(Contents({"viewer-ids": document}), "ann@desk")
    assert RecordedSecrets.decode(restored.documents["viewer-ids"]) == recorded
