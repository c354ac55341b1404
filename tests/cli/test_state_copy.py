"""`tokensvc state copy`: the state moves to another place, and nothing is lost or split."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import cast

import pytest

from tests.cli.conftest import Desk
from tests.cli.test_state_upgrade import as_of_previous_release
from tests.support.clock import ManualClock
from tests.support.dynalite import Dynalite
from tests.support.tables import Table, table_with_state
from tokensvc.access import api_keys
from tokensvc.access.api_keys import ApiKeys
from tokensvc.errors import StateConflict, StateCopyRefused, StateMissing
from tokensvc.state.base import NEW, Document, State, Version
from tokensvc.state.moving import marker_in
from tokensvc.state.sqlite import SqliteState
from tokensvc.state_copy import copy_state

RING = "ring:us-west-2"
RING_BODY = '{"schema_version":2,"region":"us-west-2"}'
SOURCE, TARGET = "sqlite:/a", "sqlite:/b"


@pytest.fixture
def copied_desk(rotating_desk: Desk) -> Desk:
    """A deployment with an API key, whose state was copied to the file `new.sqlite3`."""
    rotating_desk.done("api-keys", "create", "site", "--grant", "web")
    copy(rotating_desk, old_url(rotating_desk), new_url(rotating_desk))
    return rotating_desk


def old_url(desk: Desk) -> str:
    """The URL of the state in the settings."""
    return f"sqlite:{desk.folder}/keys/state.sqlite3"


def new_url(desk: Desk) -> str:
    """The URL of the place to which the tests copy."""
    return f"sqlite:{desk.folder}/keys/new.sqlite3"


def copy(desk: Desk, source: str, target: str) -> list[str]:
    """The names that `tokensvc state copy` prints."""
    return desk.done("state", "copy", source, target, "--yes").split()


def use(desk: Desk, url: str) -> None:
    """Set `state.url` in the settings."""
    settings = desk.folder / "tokensvc.toml"
    kept = settings.read_text().split("[state]")[0]
    settings.write_text(f'{kept}[state]\nurl = "{url}"\n')


def test_the_copy_goes_on_where_the_state_was(copied_desk: Desk) -> None:
    """With the same ring and API key. A rotation in the new place finishes."""
    use(copied_desk, new_url(copied_desk))
    assert [key["name"] for key in copied_desk.json("api-keys", "list")] == ["site"]
    before = {row["state"]: row["key_id"] for row in copied_desk.json("keys", "list")}
    copied_desk.done("keys", "rotate")
    after = {row["state"]: row["key_id"] for row in copied_desk.json("keys", "list")}
    assert (after["retiring"], after["active"]) == (before["active"], before["published"])


@pytest.mark.parametrize(
    "command",
    [
        ("keys", "rotate"),
        ("keys", "reconcile"),
        ("keys", "list"),
        ("api-keys", "create", "app", "--grant", "web"),
        ("state", "upgrade", "--yes"),
    ],
)
def test_the_old_place_refuses_every_command(copied_desk: Desk, command: tuple[str, ...]) -> None:
    """It names the new place. Nothing is written, and no key pair is imported."""
    in_ivs = copied_desk.ivs.client().list_playback_key_pairs()["keyPairs"]
    before = copied_desk.state.versions()
    assert new_url(copied_desk) in copied_desk.refused(*command)
    assert copied_desk.state.versions() == before
    assert copied_desk.ivs.client().list_playback_key_pairs()["keyPairs"] == in_ivs


def test_the_state_can_be_copied_back(copied_desk: Desk) -> None:
    """With what has changed meanwhile."""
    use(copied_desk, new_url(copied_desk))
    copied_desk.done("api-keys", "create", "app", "--grant", "web")
    copy(copied_desk, new_url(copied_desk), old_url(copied_desk))
    assert old_url(copied_desk) in copied_desk.refused("keys", "rotate")
    use(copied_desk, old_url(copied_desk))
    assert [key["name"] for key in copied_desk.json("api-keys", "list")] == ["site", "app"]


def test_a_copy_can_be_run_again(copied_desk: Desk) -> None:
    """It copies nothing that has changed since in the new place."""
    copy(copied_desk, old_url(copied_desk), new_url(copied_desk))
    use(copied_desk, new_url(copied_desk))
    copied_desk.done("api-keys", "create", "app", "--grant", "web")
    error = copied_desk.error("state", "copy", old_url(copied_desk), new_url(copied_desk), "--yes")
    assert isinstance(error, StateCopyRefused)
    assert len(copied_desk.json("api-keys", "list")) == 2


def test_another_state_is_never_overwritten(rotating_desk: Desk, tmp_path: Path) -> None:
    """The old place is as before."""
    other = SqliteState(tmp_path / "other.sqlite3", rotating_desk.clock)
    with closing(other):
        other.create()
        other.save(api_keys.DOCUMENT_NAME, ApiKeys().encode(), replacing=NEW)
        other.save(RING, "{}", replacing=NEW)
    url = f"sqlite:{tmp_path}/other.sqlite3"
    error = rotating_desk.error("state", "copy", old_url(rotating_desk), url, "--yes")
    assert isinstance(error, StateCopyRefused)
    rotating_desk.done("keys", "list")


def test_a_state_that_moved_elsewhere_is_not_copied_again(
    copied_desk: Desk, tmp_path: Path
) -> None:
    """Or two places would go on from there."""
    error = copied_desk.error(
        "state", "copy", old_url(copied_desk), f"sqlite:{tmp_path}/third.sqlite3", "--yes"
    )
    assert isinstance(error, StateCopyRefused)
    assert new_url(copied_desk) in error.detail


def test_the_same_place_and_the_previous_schema_are_refused(rotating_desk: Desk) -> None:
    """Before anything is changed."""
    same = old_url(rotating_desk)
    rotating_desk.refused("state", "copy", same, same, "--yes", status=2)
    as_of_previous_release(rotating_desk)
    error = rotating_desk.error("state", "copy", same, new_url(rotating_desk), "--yes")
    assert isinstance(error, StateCopyRefused)
    rotating_desk.done("keys", "list")


# --- Between two kinds of state, and with interruptions


@pytest.fixture
def places(
    tmp_path: Path, dynalite: Dynalite, rotating_desk: Desk
) -> Iterator[tuple[State, Table]]:
    """The state of a deployment, and an empty one in a table."""
    with table_with_state(dynalite.url) as table:
        yield rotating_desk.state, table


def test_a_state_moves_to_dynamodb(places: tuple[State, Table]) -> None:
    """Every document is there, equal, and the old place has markers only."""
    source, table = places
    before = {name: source.load(name) for name in source.versions()}
    with closing(table.state()) as target:
        copied = copy_all(source, target)
        assert sorted(copied) == sorted(before)
        for name, document in before.items():
            moved, copy = source.load(name), target.load(name)
            assert document is not None
            assert copy is not None
            assert copy.body == document.body
            assert moved is not None
            assert marker_in(moved) is not None


def copy_all(source: State, target: State) -> list[str]:
    """The names of the documents that are copied."""
    return list(copy_state(source, target, source_url=SOURCE, target_url=TARGET))


class Interrupted(Exception):
    """The process was killed."""


class Interrupts:
    """A state that fails before, or after, its save with that number; everything else works."""

    def __init__(self, state: State, *, at_save: int, is_saved: bool) -> None:
        self._state = state
        self._left = at_save
        self._is_saved = is_saved

    def save(self, name: str, body: str, *, replacing: Version) -> Version:
        """Save, or fail."""
        self._left -= 1
        if self._left == 0 and not self._is_saved:
            raise Interrupted
        version = self._state.save(name, body, replacing=replacing)
        if self._left == 0:
            raise Interrupted
        return version

    def __getattr__(self, name: str) -> object:
        return getattr(self._state, name)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[State]:
    """A state with two documents besides the one with the schema."""
    with closing(SqliteState(tmp_path / "source.sqlite3", ManualClock())) as state:
        state.create()
        state.save("api-keys", ApiKeys().encode(), replacing=NEW)
        state.save(RING, RING_BODY, replacing=NEW)
        yield state


@pytest.fixture
def target(tmp_path: Path) -> Iterator[State]:
    """A place without a state."""
    with closing(SqliteState(tmp_path / "target.sqlite3", ManualClock())) as state:
        yield state


@pytest.mark.parametrize("is_saved", [False, True])
@pytest.mark.parametrize("at_save", [1, 2, 3])
@pytest.mark.parametrize("fails", ["source", "target"])
def test_an_interrupted_copy_continues(
    source: State, target: State, fails: str, at_save: int, *, is_saved: bool
) -> None:
    """Wherever it ended: everything is in the new place, and nothing can change in the old one."""
    places = {"source": source, "target": target}
    # It behaves like the state that it is about, but for one save.
    faulty = Interrupts(places[fails], at_save=at_save, is_saved=is_saved)
    places[fails] = cast("State", faulty)
    with suppress(Interrupted):
        copy_all(places["source"], places["target"])
    copy_all(source, target)
    copied = target.load(RING)
    assert copied is not None
    assert copied.body == RING_BODY
    for name in source.versions():
        moved = source.load(name)
        assert moved is not None
        assert marker_in(moved) is not None


def test_a_save_during_the_copy_is_refused(source: State, target: State) -> None:
    """A process that has read the ring before can't save it after the marker."""
    read = source.load(RING)
    assert read is not None
    names = copy_state(source, target, source_url=SOURCE, target_url=TARGET)
    while next(names) != RING:
        pass
    with pytest.raises(StateConflict):
        source.save(RING, read.body, replacing=read.version)
    list(names)


def test_an_interrupted_copy_is_finished_before_the_state_goes_back(
    source: State, target: State
) -> None:
    """Or the ring, which only its marker has, would be in neither place."""
    faulty = Interrupts(target, at_save=2, is_saved=False)  # The ring comes after the API keys.
    with pytest.raises(Interrupted):
        copy_all(source, cast("State", faulty))
    with pytest.raises(StateCopyRefused):
        list(copy_state(target, source, source_url=TARGET, target_url=SOURCE))
    copy_all(source, target)
    list(copy_state(target, source, source_url=TARGET, target_url=SOURCE))
    restored = source.load(RING)
    assert restored is not None
    assert restored.body == RING_BODY


class SavesOnce:
    """A state in which another process saves a document when the first one is replaced."""

    def __init__(self, state: State, meanwhile: Callable[[], object]) -> None:
        self._state = state
        self._meanwhile: Callable[[], object] | None = meanwhile

    def save(self, name: str, body: str, *, replacing: Version) -> Version:
        """Save after the other process."""
        if (meanwhile := self._meanwhile) is not None:
            self._meanwhile = None
            meanwhile()
        return self._state.save(name, body, replacing=replacing)

    def __getattr__(self, name: str) -> object:
        return getattr(self._state, name)


def test_of_two_copies_to_different_places_one_is_refused(
    source: State, target: State, tmp_path: Path
) -> None:
    """It has copied nothing, and the other one everything."""
    with closing(SqliteState(tmp_path / "other.sqlite3", ManualClock())) as other:
        first = copy_state(source, target, source_url=SOURCE, target_url=TARGET)

        def begin_and_create_a_document() -> None:
            source.save("a-new-one", '{"schema_version":2}', replacing=NEW)
            next(first)

        racing = cast("State", SavesOnce(source, begin_and_create_a_document))
        with pytest.raises(StateCopyRefused):
            list(copy_state(racing, other, source_url=SOURCE, target_url="sqlite:/c"))
        assert other.versions().keys() == {"schema"}
        list(first)
        assert target.versions().keys() == source.versions().keys()


def test_a_document_that_is_created_during_the_copy_is_copied(source: State, target: State) -> None:
    """Its process had read the schema before."""
    names = copy_state(source, target, source_url=SOURCE, target_url=TARGET)
    next(names)
    source.save("ring:eu-west-1", '{"schema_version":2}', replacing=NEW)
    assert "ring:eu-west-1" in list(names)
    assert target.load("ring:eu-west-1") is not None


def test_a_link_to_the_same_file_is_refused(rotating_desk: Desk) -> None:
    """The command would say that the old place can't change any more."""
    link = rotating_desk.folder / "link.sqlite3"
    link.symlink_to(old_url(rotating_desk).removeprefix("sqlite:"))
    url = f"sqlite:{link}"
    rotating_desk.refused("state", "copy", old_url(rotating_desk), url, "--yes", status=2)


def test_a_marker_is_no_document_for_any_release() -> None:
    """Its schema version is one that no release has written."""
    marker = Document('{"schema_version":0,"moved_to":"x","body":"{}"}', NEW)
    assert marker_in(marker) is not None
    assert json.loads(marker.body)["schema_version"] < 1
    with pytest.raises(StateMissing):
        ApiKeys.decode(marker)
