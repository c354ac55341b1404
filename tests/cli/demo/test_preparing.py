"""What the demo makes on its first start, also when that start is ended at any moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from botocore.httpsession import URLLib3Session

from tests.support.aws import set_aws_endpoint
from tests.support.clock import ManualClock
from tests.support.local_ivs import LocalIvsServer
from tokensvc.access.api_keys import DOCUMENT_NAME, ApiKeys, authenticate
from tokensvc.arns import ChannelArn
from tokensvc.aws import AwsClients
from tokensvc.bootstrap import build_patient_clients
from tokensvc.cli.demo.folder import DemoFolder
from tokensvc.cli.demo.preparing import prepare
from tokensvc.keyring.store import RingStore
from tokensvc.settings import load_settings
from tokensvc.state.sqlite import SqliteState

T = TypeVar("T")
MORE_EFFECTS_THAN_THERE_ARE = 60


class Killed(BaseException):
    """The process has ended here."""


@dataclass
class Lab:
    """A demo's folder, its time and its IVS."""

    folder: DemoFolder
    ivs: LocalIvsServer
    clients: AwsClients
    clock: ManualClock

    def prepare(self) -> str:
        """The API key's text, as a start of the demo gets it."""
        return prepare(self.folder, self.ivs.url, 8000, self.clients, self.clock)

    @property
    def state(self) -> SqliteState:
        """The demo's state."""
        return SqliteState(self.folder.path / "keys/state.sqlite3", self.clock)

    def facts(self) -> dict[str, object]:
        """All that the next start has to find again."""
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
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """An empty folder, and an IVS with nothing in it."""
    clock = ManualClock()
    folder = DemoFolder(tmp_path / "demo")
    folder.path.mkdir()
    with LocalIvsServer(tmp_path / "ivs", clock) as ivs:
        set_aws_endpoint(monkeypatch, tmp_path, ivs.url)
        with closing(build_patient_clients()) as clients:
            yield Lab(folder, ivs, clients, clock)


def killed_after(effect: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process end right after that effect: a request to IVS, a saved document, a file."""
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


def test_the_first_start_makes_two_private_channels_keys_and_an_api_key(lab: Lab) -> None:
    """One channel is live, one key pair signs, and IVS holds what the ring records."""
    text = lab.prepare()
    channels = lab.ivs.client().list_channels()["channels"]
    assert {(channel["name"], channel["authorized"]) for channel in channels} == {
        ("demo", True),
        ("other", True),
    }
    settings = load_settings(lab.folder.settings, {})
    assert {str(arn) for arn in settings.channels.values()} == {
        channel["arn"] for channel in channels
    }
    ring = RingStore(lab.state, settings.ivs.regions[0]).load()
    assert ring is not None
    assert [pair.state.value for pair in ring.ring.pairs] == ["active", "published"]
    held = lab.ivs.client().list_playback_key_pairs()["keyPairs"]
    assert {pair["arn"] for pair in held} == {str(pair.arn) for pair in ring.ring.pairs}
    caller = authenticate(ApiKeys.decode(lab.state.load(DOCUMENT_NAME)), text)
    assert caller.grants == ("demo",)
    assert settings.grants_by_name()["demo"].covers(ChannelArn.parse(channels[0]["arn"]))


def test_what_is_secret_is_readable_by_its_owner_only(lab: Lab) -> None:
    """0600 for each file of the demo's own."""
    lab.prepare()
    modes = {path.name: path.stat().st_mode & 0o777 for path in lab.folder.path.glob("*[!s]")}
    assert modes["api-key"] == modes["key-encryption-secret"] == modes["tokensvc.toml"] == 0o600


def test_a_second_start_goes_on_with_all_of_it(lab: Lab) -> None:
    """The same channels, key pairs, API key and secret."""
    text = lab.prepare()
    before = lab.facts()
    assert lab.prepare() == text
    assert lab.facts() == before


def test_a_start_makes_the_channels_private_that_someone_has_let_anyone_watch(lab: Lab) -> None:
    """The demo shows what signed URLs are for; the channel is live again, and the same."""
    lab.prepare()
    ivs = lab.ivs.client()
    before = ivs.list_channels()["channels"]
    for channel in before:
        lab.ivs.go_offline(channel["arn"])
        ivs.update_channel(arn=channel["arn"], authorized=False)
        lab.ivs.go_live(channel["arn"])
    lab.prepare()
    assert ivs.list_channels()["channels"] == before
    assert all(channel["authorized"] for channel in before)
    (demo,) = (channel["arn"] for channel in before if channel["name"] == "demo")
    assert demo in {stream["channelArn"] for stream in ivs.list_streams()["streams"]}


def test_a_start_that_was_killed_at_any_moment_is_completed_by_the_next(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each effect in turn: nothing is made twice, and nothing is lost that had been shown."""
    for effect in range(1, MORE_EFFECTS_THAN_THERE_ARE):
        lab.folder = DemoFolder(tmp_path / f"demo-{effect}")
        lab.folder.path.mkdir()
        _empty(lab.ivs)
        with monkeypatch.context() as patched:
            killed_after(effect, patched)
            try:
                lab.prepare()
            except Killed:
                was_killed = True
            else:
                was_killed = False
        text = lab.prepare()
        facts = lab.facts()
        assert len(lab.ivs.client().list_channels()["channels"]) == 2
        assert len(lab.ivs.client().list_playback_key_pairs()["keyPairs"]) == 2
        assert len(facts["pairs"]) == 2  # type: ignore[arg-type] # A list, among other facts.
        authenticate(ApiKeys.decode(lab.state.load(DOCUMENT_NAME)), text)
        if not was_killed:
            assert effect > 15
            return
    pytest.fail("There are more effects than this test ends after.")


def _empty(ivs: LocalIvsServer) -> None:
    client = ivs.client()
    for pair in client.list_playback_key_pairs()["keyPairs"]:
        client.delete_playback_key_pair(arn=pair["arn"])
    for channel in client.list_channels()["channels"]:
        ivs.go_offline(channel["arn"])
        client.delete_channel(arn=channel["arn"])


def test_a_lost_api_key_is_made_anew(lab: Lab) -> None:
    """Its text can't be read out of the state, so the old one is replaced."""
    first = lab.prepare()
    lab.folder.api_key.unlink()
    second = lab.prepare()
    known = ApiKeys.decode(lab.state.load(DOCUMENT_NAME))
    assert second != first
    assert [key.name for key in known.keys] == ["demo"]
    authenticate(known, second)
