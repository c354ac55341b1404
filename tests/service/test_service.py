"""Objects are built from the settings."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.fleet.memory_state import MemoryState, MemoryStore
from tests.keyring.rings import REGION
from tests.support.aws import set_aws_endpoint
from tests.support.clock import ManualClock
from tests.support.sqlite_files import created_state
from tokensvc.audit import AuditEvent
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.errors import SettingsInvalid, StateUnavailable
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.custody.file_signers import FileSigners
from tokensvc.operations import bound_endpoint, build_custody
from tokensvc.service import build, build_state
from tokensvc.settings import Settings, load_settings
from tokensvc.settings.model import CustodySettings
from tokensvc.signer_loaders import build_signer_loader
from tokensvc.state.base import Document
from tokensvc.state.dynamodb import DynamoDbState
from tokensvc.state.sqlite import SqliteState
from tokensvc.state.watch import Watched

SETTINGS = """
[ivs]
account_id = "123456789012"
regions = ["us-west-2", "eu-west-1"]
[custody]
key_encryption_secret_file = "secret"
"""


class NoAudit:
    """An audit log to which nothing may be written."""

    failure = None

    def write(self, event: AuditEvent) -> None:
        """Fail the test."""
        raise AssertionError(event)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of two regions, in a folder that otherwise has only the secret, without an IVS."""
    set_aws_endpoint(monkeypatch, tmp_path, "http://127.0.0.1:9")
    (tmp_path / "secret").write_bytes(bytes(range(32)))
    path = tmp_path / "tokensvc.toml"
    path.write_text(SETTINGS)
    return load_settings(path, {})


def open_files() -> set[str]:
    """The files, sockets and pipes that this process has open."""
    return {
        str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()
    }


def test_nothing_is_running_or_open_before_the_start(settings: Settings) -> None:
    """A worker can be forked from it: there is no thread, socket or database."""
    before = open_files()
    threads = threading.active_count()
    service = build(settings, ManualClock(), NoAudit())
    assert open_files() <= before
    assert threading.active_count() == threads
    assert not Path(settings.state.url.removeprefix("sqlite:")).exists()
    service.close()


def test_a_started_service_watches_api_keys_and_rings_until_it_is_closed(
    settings: Settings,
) -> None:
    """A thread for the API keys, each ring, channels, probes, last uses, clock, record, replicas.

    Two for the bans: one follows them, one reads all of them again.

    None is left after closing.
    """
    others = set(threading.enumerate())
    created_state(Path(settings.state.url.removeprefix("sqlite:")))
    service = build(settings, ManualClock(), NoAudit())
    service.start()
    assert len(set(threading.enumerate()) - others) == 11
    assert service.api_keys.latest().value.keys == ()
    assert set(service.rings) == {"us-west-2", "eu-west-1"}
    service.close()
    assert set(threading.enumerate()) <= others


def test_close_closes_the_state_that_was_opened_here_and_none_that_was_passed_in(
    settings: Settings, tmp_path: Path
) -> None:
    """A command passes in its own state, and still uses it afterwards."""
    clock = ManualClock()
    with closing(created_state(tmp_path / "state.sqlite3", clock)) as mine:
        build(settings, clock, NoAudit(), state=mine).close()
        assert mine.load("ring") is None
    service = build(settings, clock, NoAudit())
    service.start()
    service.close()
    with pytest.raises(StateUnavailable):
        service.api_keys.refresh()


def test_one_state_and_one_signer_loader_serve_every_region(settings: Settings) -> None:
    """They are opened once for the process."""
    service = build(settings, ManualClock(), NoAudit())
    views = service.rings.values()
    assert len({id(view._signer_loader) for view in views}) == 1
    states = [view._watched._state for view in views]
    assert len({id(state) for state in (*states, service.api_keys._state)}) == 1
    service.close()


def test_a_worker_follows_all_documents_by_one_read_at_an_interval_of_its_own(
    settings: Settings,
) -> None:
    """With the age of a shared read, a change is noticed within state_refresh_seconds (5 s)."""
    intervals = set()
    for _ in range(20):
        with closing(build(settings, ManualClock(), NoAudit())) as service:
            views = [view._watched for view in service.rings.values()]
            others = service.api_keys, service.bans.watched, service.reconciles.watched
            all_watched: list[Watched[Any]] = [*views, *others]
            assert len({id(watched._versions) for watched in all_watched}) == 1
            (interval,) = {watched._refresh_seconds for watched in all_watched}
        intervals.add(interval)
    assert 3.75 <= min(intervals) < max(intervals) <= 4.17


class HangingState(MemoryState):
    """Fails, but not before all documents are read at the same time."""

    def __init__(self, documents: int) -> None:
        super().__init__(MemoryStore())
        self.together = threading.Barrier(documents)

    def load(self, name: str) -> Document | None:
        """Wait for the other reads, then fail."""
        self.together.wait(20.0)
        raise StateUnavailable(f"{name} can't be read.")


def test_a_worker_that_starts_while_the_state_hangs_waits_for_one_time_out(
    settings: Settings,
) -> None:
    """And not for one of each document. gunicorn ends a worker that takes 30 s to start."""
    state = HangingState(documents=5)
    with closing(build(settings, ManualClock(), NoAudit(), state=state)) as service:
        service.start()
        assert not state.together.broken
        assert isinstance(service.api_keys.failure, StateUnavailable)
        assert all(isinstance(view.failure, StateUnavailable) for view in service.rings.values())


def with_state(settings: Settings, url: str) -> Settings:
    """The settings with another state."""
    state = settings.state.model_copy(update={"url": url})
    return settings.model_copy(update={"state": state})


def test_the_scheme_of_a_url_selects_state_and_custody(settings: Settings) -> None:
    """An unknown scheme is refused."""
    clock, clients = ManualClock(), AwsClients(AwsTerms())
    assert isinstance(build_state(settings, clock), SqliteState)
    assert isinstance(build_custody(settings.custody, REGION, clients, clock), FileCustody)
    with pytest.raises(SettingsInvalid, match=r"state\.url.*'mysql'"):
        build_state(with_state(settings, "mysql:x"), clock)
    with closing(build_state(with_state(settings, "dynamodb:eu-west-1/state"), clock)) as state:
        assert isinstance(state, DynamoDbState)
    assert isinstance(build_signer_loader(settings.custody, REGION, clients, clock), FileSigners)
    with pytest.raises(SettingsInvalid, match=r"custody\.url.*'vault'"):
        build_custody(CustodySettings(url="vault:x"), REGION, clients, clock)
    with pytest.raises(SettingsInvalid, match=r"custody\.url.*'vault'"):
        build_signer_loader(CustodySettings(url="vault:x"), REGION, clients, clock)


def test_a_secret_may_come_from_the_environment(tmp_path: Path) -> None:
    """The same 32 bytes decrypt the same keys."""
    (tmp_path / "secret").write_bytes(bytes(range(32)))
    url = f"file:{tmp_path}/keys"
    clock, clients = ManualClock(), AwsClients(AwsTerms())
    with_file = CustodySettings(url=url, key_encryption_secret_file=tmp_path / "secret")
    with_text = CustodySettings(url=url, key_encryption_secret=SecretStr(bytes(range(32)).hex()))
    created = build_custody(with_file, REGION, clients, clock).create("k1")
    assert build_custody(with_text, REGION, clients, clock).create("k1") == created
    assert (
        build_signer_loader(with_text, REGION, clients, clock).signer(created).public_key
        == created.public_key
    )


@pytest.mark.parametrize(
    ("endpoint_url", "bound"),
    [
        ("https://ivs.us-west-2.amazonaws.com", "https://ivs.us-west-2.amazonaws.com"),
        ("http://192.0.2.7:8001", "http://192.0.2.7:8001"),
        ("http://127.0.0.1:8001", "http://loopback"),
        ("http://127.0.0.1:9001", "http://loopback"),
        ("http://[::1]:8001", "http://loopback"),
        ("http://localhost:8001", "http://loopback"),
    ],
)
def test_a_ring_of_local_ivs_stays_valid_on_another_port(endpoint_url: str, bound: str) -> None:
    """Its endpoint is never the same as one of AWS."""
    assert bound_endpoint(endpoint_url) == bound
