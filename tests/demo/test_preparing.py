"""What the demo creates on its first start, also if that start is killed at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from botocore.httpsession import URLLib3Session
from local_ivs.testing import LocalIvsServer

from demo.launcher.folder import DemoFolder
from demo.launcher.preparing import prepare
from tests.support.aws import set_aws_endpoint
from tests.support.clock import ManualClock
from tokensvc.access.api_keys import DOCUMENT_NAME, ApiKeys, authenticate
from tokensvc.arns import ChannelArn
from tokensvc.aws import AwsClients
from tokensvc.keyring.ring_document import RingStore
from tokensvc.operations import COMMAND_TERMS
from tokensvc.settings import load_settings
from tokensvc.state.sqlite import SqliteState

T = TypeVar("T")
MAX_EFFECTS = 60


class Killed(BaseException):
    """The process was killed here."""


@dataclass
class DemoSetup:
    """A demo's folder, its clock and its IVS."""

    folder: DemoFolder
    ivs: LocalIvsServer
    clients: AwsClients
    clock: ManualClock

    def prepare(self) -> str:
        """Prepare the demo as its start does, and return the API key."""
        return prepare(self.folder, self.ivs.url, 8000, self.clients, self.clock)

    @property
    def state(self) -> SqliteState:
        """The demo's state."""
        return SqliteState(self.folder.path / "keys/state.sqlite3", self.clock)

    def saved_data(self) -> dict[str, object]:
        """Everything that the next start must reuse."""
        settings = load_settings(self.folder.settings, {})
        ring = RingStore(self.state, settings.ivs.regions[0]).load()
        assert ring is not None
        return {
            "channels": dict(settings.channels),
            "pairs": [(pair.key_id, pair.state, pair.public_key) for pair in ring.ring.pairs],
            "api_key": self.folder.api_key.read_text(),
            "secret": self.folder.key_encryption_secret.read_text(),
        }


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DemoSetup]:
    """An empty folder and an empty IVS."""
    clock = ManualClock()
    folder = DemoFolder(tmp_path / "demo")
    folder.path.mkdir()
    with LocalIvsServer(tmp_path / "ivs", clock) as ivs:
        set_aws_endpoint(monkeypatch, tmp_path, ivs.url)
        with closing(AwsClients(COMMAND_TERMS, clock=clock)) as clients:
            yield DemoSetup(folder, ivs, clients, clock)


def kill_after(effect: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill the process right after this effect: a request to IVS, a saved document, or a file."""
    count = 0

    def counting(function: Callable[..., T]) -> Callable[..., T]:
        def counted(*arguments: Any, **options: Any) -> T:
            nonlocal count
            result = function(*arguments, **options)
            count += 1
            if count == effect:
                raise Killed
            return result

        return counted

    for owner, name in ((URLLib3Session, "send"), (SqliteState, "save"), (DemoFolder, "write")):
        monkeypatch.setattr(owner, name, counting(getattr(owner, name)))


def test_the_first_start_creates_two_private_channels_keys_and_an_api_key(setup: DemoSetup) -> None:
    """One channel is live, one key pair is active, and IVS has the ring's key pairs."""
    text = setup.prepare()
    channels = setup.ivs.client().list_channels()["channels"]
    assert {(channel["name"], channel["authorized"]) for channel in channels} == {
        ("demo", True),
        ("other", True),
    }
    settings = load_settings(setup.folder.settings, {})
    assert {str(arn) for arn in settings.channels.values()} == {
        channel["arn"] for channel in channels
    }
    ring = RingStore(setup.state, settings.ivs.regions[0]).load()
    assert ring is not None
    assert [pair.state.value for pair in ring.ring.pairs] == ["active", "published"]
    held = setup.ivs.client().list_playback_key_pairs()["keyPairs"]
    assert {pair["arn"] for pair in held} == {str(pair.arn) for pair in ring.ring.pairs}
    caller = authenticate(ApiKeys.decode(setup.state.load(DOCUMENT_NAME)), text, setup.clock.now())
    assert caller.grants == ("demo",)
    assert settings.grants_by_name()["demo"].covers(ChannelArn.parse(channels[0]["arn"]))


def test_secret_files_are_readable_by_their_owner_only(setup: DemoSetup) -> None:
    """Mode 0600."""
    setup.prepare()
    modes = {path.name: path.stat().st_mode & 0o777 for path in setup.folder.path.glob("*[!s]")}
    assert modes["api-key"] == modes["key-encryption-secret"] == modes["tokensvc.toml"] == 0o600


def test_a_second_start_reuses_everything(setup: DemoSetup) -> None:
    """The same channels, key pairs, API key and secret."""
    text = setup.prepare()
    before = setup.saved_data()
    assert setup.prepare() == text
    assert setup.saved_data() == before


def test_a_start_makes_public_channels_private_again(setup: DemoSetup) -> None:
    """The demo needs private channels. The demo channel is the same one, and live again."""
    setup.prepare()
    ivs = setup.ivs.client()
    before = ivs.list_channels()["channels"]
    for channel in before:
        setup.ivs.go_offline(channel["arn"])
        ivs.update_channel(arn=channel["arn"], authorized=False)
        setup.ivs.go_live(channel["arn"])
    setup.prepare()
    assert ivs.list_channels()["channels"] == before
    assert all(channel["authorized"] for channel in before)
    (demo,) = (channel["arn"] for channel in before if channel["name"] == "demo")
    assert demo in {stream["channelArn"] for stream in ivs.list_streams()["streams"]}


def test_a_start_that_was_killed_at_any_time_is_completed_by_the_next(
    setup: DemoSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each effect in turn: no duplicates are created, and the API key is valid."""
    for effect in range(1, MAX_EFFECTS):
        setup.folder = DemoFolder(tmp_path / f"demo-{effect}")
        setup.folder.path.mkdir()
        _empty(setup.ivs)
        with monkeypatch.context() as patched:
            kill_after(effect, patched)
            try:
                setup.prepare()
            except Killed:
                was_killed = True
            else:
                was_killed = False
        text = setup.prepare()
        saved_data = setup.saved_data()
        assert len(setup.ivs.client().list_channels()["channels"]) == 2
        assert len(setup.ivs.client().list_playback_key_pairs()["keyPairs"]) == 2
        assert len(saved_data["pairs"]) == 2  # type: ignore[arg-type] # A list.
        authenticate(ApiKeys.decode(setup.state.load(DOCUMENT_NAME)), text, setup.clock.now())
        if not was_killed:
            assert effect > 15
            return
    pytest.fail(f"A start has more than {MAX_EFFECTS} effects. Increase MAX_EFFECTS.")


def _empty(ivs: LocalIvsServer) -> None:
    client = ivs.client()
    for pair in client.list_playback_key_pairs()["keyPairs"]:
        client.delete_playback_key_pair(arn=pair["arn"])
    for channel in client.list_channels()["channels"]:
        ivs.go_offline(channel["arn"])
        client.delete_channel(arn=channel["arn"])


def test_a_lost_api_key_is_replaced(setup: DemoSetup) -> None:
    """The state doesn't contain its text."""
    first = setup.prepare()
    setup.folder.api_key.unlink()
    second = setup.prepare()
    known = ApiKeys.decode(setup.state.load(DOCUMENT_NAME))
    assert second != first
    assert [(key.name, key.scopes) for key in known.keys] == [
        ("demo-moderator", ("moderate",)),
        ("demo-operator", ("operate",)),
        ("demo", ("mint",)),
    ]
    authenticate(known, second, setup.clock.now())


def test_a_folder_of_an_earlier_release_is_used_again(setup: DemoSetup) -> None:
    """Its settings file has a section that no longer exists. Channels, keys and API key stay."""
    text = setup.prepare()
    before = setup.saved_data()
    settings = setup.folder.settings.read_text()
    earlier = '[demo]\nchannel = "demo"\nother_channel = "other"\ngrant = "demo"\n'
    setup.folder.settings.write_text(f"{settings}{earlier}")
    assert setup.prepare() == text
    assert setup.saved_data() == before
    assert setup.folder.settings.read_text() == settings
