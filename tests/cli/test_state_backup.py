"""`tokensvc state backup` and `restore`: what comes back, and what must not."""

from __future__ import annotations

import io
import json
import stat
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Desk
from tests.support.settings import settings_in
from tokensvc import service
from tokensvc.access.api_keys import ApiKeys, authenticate
from tokensvc.audit import JsonLinesAudit
from tokensvc.cli.context import operator
from tokensvc.clock import Moment
from tokensvc.errors import BackupRefused, NotFound, Unauthenticated
from tokensvc.keyring.model import KeyState

DRAIN_SECONDS = 7_220  # 3,600 + 3,600 + 2 * 10, by hand.


@pytest.fixture(name="backup")
def _backup(rotating_desk: Desk) -> Path:
    """A backup of a deployment with an active key pair, a standby and the API key `site`."""
    rotating_desk.done("api-keys", "create", "site", "--grant", "web")
    file = rotating_desk.folder / "backup"
    assert rotating_desk.done("state", "backup", str(file)) == f"{file}\n"
    return file


def restore(desk: Desk, backup: Path) -> None:
    """Replace the state."""
    desk.done("state", "restore", str(backup), "--replace", "--yes")


def findings(desk: Desk) -> set[str]:
    """The codes of the doctor's findings."""
    result = desk.run("keys", "doctor", "--json")
    return {line.split('"')[3] for line in result.stdout.splitlines() if '"code"' in line}


def test_a_backup_names_what_else_must_be_copied(rotating_desk: Desk, backup: Path) -> None:
    """The private keys with their names, and the secret. It has none of them itself."""
    result = rotating_desk.run("state", "backup", str(backup.with_name("another")))
    for pair in rotating_desk.ring().pairs:
        assert f"{rotating_desk.folder}/keys/{pair.key_id}.pem" in result.stderr
    assert str(rotating_desk.folder / "secret") in result.stderr
    assert b"PRIVATE KEY" not in backup.read_bytes()
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_a_lost_state_is_restored_and_signs_again(rotating_desk: Desk, backup: Path) -> None:
    """Nothing else had changed: after the confirmation everything is as before."""
    before = rotating_desk.ring()
    (rotating_desk.folder / "keys/state.sqlite3").unlink()

    result = rotating_desk.run("state", "restore", str(backup))

    (line,) = [json.loads(one) for one in result.stderr.splitlines() if one.startswith("{")]
    assert (line["step"], line["region"], line["by"]) == ("restore", "us-west-2", operator())

    assert rotating_desk.ring().pairs == before.pairs
    assert "restored" in findings(rotating_desk)
    rotating_desk.done("keys", "reconcile")
    restoration = rotating_desk.ring().restoration
    assert restoration is not None
    assert restoration.restored_at == rotating_desk.clock.now()
    rotating_desk.clock.advance(DRAIN_SECONDS)
    assert "restored" not in findings(rotating_desk)


def test_a_revoked_api_key_does_not_come_back(rotating_desk: Desk, backup: Path) -> None:
    """It was revoked after the backup. A key is enabled by the operator who knows of it."""
    new = rotating_desk.done("api-keys", "create", "app", "--grant", "web").strip()
    second = backup.with_name("second")
    rotating_desk.done("state", "backup", str(second))
    rotating_desk.done("api-keys", "revoke", "site", "--yes")
    restore(rotating_desk, second)

    listed = rotating_desk.json("api-keys", "list")
    assert [(key["name"], key["needs_confirmation"]) for key in listed] == [
        ("site", True),
        ("app", True),
    ]
    with pytest.raises(Unauthenticated):
        authenticate(
            ApiKeys.decode(rotating_desk.state.load("api-keys")), new, rotating_desk.clock.now()
        )
    rotating_desk.refused("api-keys", "confirm", "app", status=2)
    rotating_desk.done("api-keys", "confirm", "app", "--yes")
    rotating_desk.done("api-keys", "revoke", "site", "--yes")

    stored = ApiKeys.decode(rotating_desk.state.load("api-keys"))
    assert authenticate(stored, new, rotating_desk.clock.now()).name == "app"
    assert [key.name for key in stored.keys] == ["app"]


def test_confirming_an_unknown_key_confirms_none(rotating_desk: Desk, backup: Path) -> None:
    """A typing error is found before anything is saved."""
    restore(rotating_desk, backup)
    error = rotating_desk.error("api-keys", "confirm", "site", "websight", "--yes")
    assert isinstance(error, NotFound)
    assert len(ApiKeys.decode(rotating_desk.state.load("api-keys")).unconfirmed) == 1


def test_an_existing_state_is_replaced_only_with_two_confirmations(
    rotating_desk: Desk, backup: Path
) -> None:
    """The option and the answer. Otherwise the newer state stays."""
    rotating_desk.done("api-keys", "create", "app", "--grant", "web")
    before = rotating_desk.state.contents()
    error = rotating_desk.error("state", "restore", str(backup))
    assert isinstance(error, BackupRefused)
    assert "--replace" in error.hint
    rotating_desk.refused("state", "restore", str(backup), "--replace", status=2)
    assert rotating_desk.state.contents() == before


@pytest.mark.parametrize("content", [b"", b"no SQLite file" * 1_000])
def test_what_is_no_backup_is_refused(rotating_desk: Desk, backup: Path, content: bytes) -> None:
    """The error names the file of the backup, and the state stays."""
    before = rotating_desk.state.contents()
    backup.write_bytes(content)
    error = rotating_desk.error("state", "restore", str(backup), "--replace", "--yes")
    assert isinstance(error, BackupRefused)
    assert str(backup) in error.detail
    assert rotating_desk.state.contents() == before


def test_a_restore_names_the_private_keys_that_are_missing(
    rotating_desk: Desk, backup: Path
) -> None:
    """The operator copies them back from where the backup named them."""
    active, standby = rotating_desk.ring().pairs
    (rotating_desk.folder / f"keys/{active.key_id}.pem").unlink()
    result = rotating_desk.run("state", "restore", str(backup), "--replace", "--yes")
    assert result.exit_code == 0
    assert f"{active.key_id}.pem" in result.stderr
    assert f"{standby.key_id}.pem" not in result.stderr


def test_a_worker_that_runs_notices_the_restore(rotating_desk: Desk, backup: Path) -> None:
    """It signs with the restored active key, and refuses the API keys."""
    desk = rotating_desk
    old = desk.ring().require_active().key_id
    settings = settings_in(desk.folder)
    with closing(
        service.build(settings, desk.clock, JsonLinesAudit(io.StringIO()), state=desk.state)
    ) as worker:
        worker.start()
        (view,) = worker.rings.values()
        desk.done("keys", "rotate")
        view.refresh()
        worker.api_keys.refresh()
        assert view.active(Moment.of(desk.clock)).key_id != old
        restore(desk, backup)
        view.refresh()
        worker.api_keys.refresh()
        assert view.active(Moment.of(desk.clock)).key_id == old
        assert len(worker.api_keys.latest().value.unconfirmed) == 1


def test_a_restored_ring_that_ivs_contradicts_goes_no_further(
    rotating_desk: Desk, backup: Path
) -> None:
    """A rotation since the backup made a standby that the restored ring does not know."""
    rotating_desk.done("keys", "rotate")
    made_meanwhile = rotating_desk.ring().pairs[-1]
    restore(rotating_desk, backup)
    assert str(made_meanwhile.arn) in rotating_desk.refused("keys", "reconcile")
    assert [pair.state for pair in rotating_desk.ring().pairs] == [
        KeyState.ACTIVE,
        KeyState.PUBLISHED,
    ]


def test_a_state_that_was_restored_by_other_means_is_marked_in_place(rotating_desk: Desk) -> None:
    """As after a restore from a backup: API keys wait for confirmation, and the drain starts."""
    desk = rotating_desk
    key_text = desk.done("api-keys", "create", "site", "--grant", "web").strip()
    pairs = desk.ring().pairs
    result = desk.run("state", "restore", "--in-place", "--yes")
    assert result.exit_code == 0
    (line,) = [json.loads(one) for one in result.stderr.splitlines() if one.startswith("{")]
    assert (line["step"], line["region"], line["by"]) == ("restore", "us-west-2", operator())
    assert desk.ring().pairs == pairs
    assert "restored" in findings(desk)
    keys = ApiKeys.decode(desk.state.load("api-keys"))
    with pytest.raises(Unauthenticated):
        authenticate(keys, key_text, desk.clock.now())
    desk.done("state", "restore", "--in-place", "--yes")
    desk.usage_error("state", "restore")
    desk.usage_error("state", "restore", "--in-place", str(desk.settings))
