"""The record of the reconcile runs: its document, when a schedule is overdue, what waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.keyring.rings import REGION
from tests.support.sqlite_files import created_state
from tokensvc.errors import SchemaUnsupported, StateConflict, StateDamaged
from tokensvc.keyring.reporting.record import (
    DOCUMENT_NAME,
    MAX_PENDING,
    Announced,
    DeliveryFailure,
    Mark,
    Notification,
    ReconcileRecord,
    RecordStore,
    RegionRecord,
)
from tokensvc.state.base import NEW, Contents, Document
from tokensvc.state.sqlite import SqliteState
from tokensvc.state_restore import as_restored
from tokensvc.state_upgrade import upgrade_state

NOW = 1_800_000_000.0
RUN = RegionRecord(attempted_at=NOW, by="jobs@host-1", code="")


@pytest.fixture(name="state")
def _state(tmp_path: Path) -> Iterator[SqliteState]:
    with closing(created_state(tmp_path / "state.sqlite3")) as state:
        yield state


def notification(number: int) -> Notification:
    """A notification with that number as its ID."""
    return Notification(
        message_id=f"msg_{number}", type="test", at=NOW, region="", detail="Nothing.", by="ann@desk"
    )


def test_a_record_is_read_as_it_was_saved(state: SqliteState) -> None:
    """With every member, and without any."""
    store = RecordStore(state)
    assert store.load() == ReconcileRecord()
    full = ReconcileRecord(
        regions={
            "us-west-2": RegionRecord(
                attempted_at=NOW,
                by="jobs@host-1",
                code="ivs_unavailable",
                succeeded_at=NOW - 60,
                scheduled_since=0.0,
                announced=Announced(type="t", code="c", key_id="", at=NOW),
                mark=Mark(message_id="msg_1", at=NOW),
            ),
            "eu-west-1": RUN,
        },
        pending=(notification(1), notification(2).model_copy(update={"until": NOW + 60})),
        delivery_failure=DeliveryFailure(since=NOW, at=NOW, detail="No.", hint="Check it."),
    )
    assert store.update(lambda _: full) == full
    assert store.load() == full
    assert store.update(lambda _: ReconcileRecord()) == store.load() == ReconcileRecord()


def test_members_of_a_newer_release_are_ignored_and_a_newer_schema_is_not() -> None:
    """As for every other document."""
    newer = Document('{"schema_version":2,"regions":{},"pending":[],"more":1}', NEW)
    assert ReconcileRecord.decode(newer) == ReconcileRecord()
    with pytest.raises(SchemaUnsupported):
        ReconcileRecord.decode(Document('{"schema_version":3}', NEW))
    for damaged in ("{}", '{"schema_version":2,"pending":[{}]}', "["):
        with pytest.raises(StateDamaged):
            ReconcileRecord.decode(Document(damaged, NEW))


def test_a_change_beside_another_process_loses_neither(
    state: SqliteState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change is repeated on what the other process saved; it gives up after ten times."""
    store, other = RecordStore(state), RecordStore(state)
    save, conflicts = state.save, [1]

    def save_after_another(name: str, body: str, *, replacing: object) -> object:
        if conflicts[0] > 0:
            conflicts[0] -= 1
            count = len(other.load().pending)
            with monkeypatch.context() as patch:
                patch.setattr(state, "save", save)
                other.update(lambda record: record.with_region(REGION, RUN, [notification(count)]))
        return save(name, body, replacing=replacing)  # type: ignore[arg-type] # Passed on.

    monkeypatch.setattr(state, "save", save_after_another)
    after = store.update(lambda record: record.with_region(REGION, RUN, [notification(100)]))
    assert [one.message_id for one in after.pending] == ["msg_0", "msg_100"]

    conflicts[0] = 10
    with pytest.raises(StateConflict):
        store.update(ReconcileRecord.with_nothing_to_send)


@pytest.mark.parametrize(
    ("scheduled_since", "succeeded_at", "allowed", "expected"),
    [
        (None, NOW - 1_000, 60, None),
        (NOW - 1_000, NOW - 60, 60, None),
        (NOW - 1_000, NOW - 61, 60, 61.0),
        (NOW - 1_000, NOW - 61, 0, None),
        (NOW - 61, None, 60, 61.0),
        (NOW - 60, None, 60, None),
        (NOW - 1_000, NOW + 60, 60, None),
        (NOW - 1_000, NOW + 61, 60, 61.0),
    ],
    ids=[
        "no schedule was ever used",
        "in time",
        "overdue",
        "off",
        "never succeeded",
        "not yet",
        "a clock ahead",
        "a time of a wrong clock",
    ],
)
def test_when_a_schedule_is_overdue(
    scheduled_since: float | None,
    succeeded_at: float | None,
    allowed: float,
    expected: float | None,
) -> None:
    """It counts from the last success, or from the first run of the schedule."""
    record = RUN.model_copy(
        update={"scheduled_since": scheduled_since, "succeeded_at": succeeded_at}
    )
    assert record.overdue_seconds(NOW, allowed) == expected


@given(st.lists(st.integers(min_value=0, max_value=60), max_size=5))
def test_what_waits_is_in_order_and_bounded(batches: list[int]) -> None:
    """The oldest are dropped, so that the document stays small."""
    record, added = ReconcileRecord(), 0
    for size in batches:
        new = [notification(added + number) for number in range(size)]
        added += size
        record = record.with_region(REGION, RUN, new)
    kept = [one.message_id for one in record.pending]
    assert kept == [f"msg_{number}" for number in range(added)][-MAX_PENDING:]
    assert record.without(set(kept)).pending == ()


def test_a_failure_that_goes_on_keeps_the_time_when_it_began() -> None:
    """A success ends it."""
    first = DeliveryFailure(since=NOW, at=NOW, detail="No.", hint="Check it.")
    second = DeliveryFailure(since=NOW + 60, at=NOW + 60, detail="Still no.", hint="Check it.")
    record = ReconcileRecord().with_delivery_failure(first).with_delivery_failure(second)
    assert record.delivery_failure == DeliveryFailure(
        since=NOW, at=NOW + 60, detail="Still no.", hint="Check it."
    )
    assert record.with_delivery_failure(None).delivery_failure is None


def test_the_document_has_a_name_of_its_own(state: SqliteState) -> None:
    """Backups, upgrades and workers name it."""
    RecordStore(state).update(lambda record: record.with_region(REGION, RUN, ()))
    assert DOCUMENT_NAME == "reconcile"
    assert DOCUMENT_NAME in state.versions()


def test_a_restore_keeps_the_record_and_gives_one_to_an_older_backup(state: SqliteState) -> None:
    """A worker that watches it would otherwise miss a document that it has read."""
    record = ReconcileRecord().with_region(REGION, RUN, [notification(1)])
    document = Document(record.encode(), NEW.next())
    restored = as_restored(Contents({DOCUMENT_NAME: document}), "ann@desk").documents
    assert ReconcileRecord.decode(restored[DOCUMENT_NAME]) == record
    assert restored[DOCUMENT_NAME].version.number == 2

    older = as_restored(Contents({}), "ann@desk").documents[DOCUMENT_NAME]
    assert ReconcileRecord.decode(older) == ReconcileRecord()


def test_an_upgrade_of_the_state_rewrites_the_record(state: SqliteState) -> None:
    """One of an earlier schema; this release writes the current one at once."""
    state.save(DOCUMENT_NAME, '{"schema_version":1}', replacing=NEW)
    assert list(upgrade_state(state)) == [DOCUMENT_NAME]
    assert list(upgrade_state(state)) == []
    RecordStore(state).update(lambda record: record.with_region(REGION, RUN, ()))
    assert list(upgrade_state(state)) == []
