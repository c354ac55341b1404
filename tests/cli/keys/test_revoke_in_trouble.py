"""`tokensvc keys revoke` on a full disk, and without AWS credentials or the secret."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Desk
from tests.cli.keys.desks import states
from tests.support.full_disk import small_disk


def create_active_and_standby(desk: Desk) -> list[str]:
    """The IDs of an active key pair and a standby that may become active."""
    for _ in range(2):
        desk.done("keys", "reconcile")
        desk.clock.advance(60)
    return [pair.key_id for pair in desk.ring().pairs]


def test_a_key_is_revoked_on_a_full_disk(desk: Desk) -> None:
    """The whole revocation is done with the reserve, which is made again later."""
    with small_disk(desk.folder / "keys") as disk:
        compromised, standby = create_active_and_standby(desk)
        reserve = disk.folder / "state.sqlite3-reserve"
        assert reserve.exists()
        disk.fill()

        desk.done("keys", "revoke", compromised, "--yes")

        assert not reserve.exists()
        disk.free()
        assert states(desk) == ["retired", "active", "published"]
        assert desk.ring().require_active().key_id == standby
        assert not (disk.folder / f"{compromised}.pem").exists()
        desk.done("keys", "reconcile")
        assert reserve.exists()


def test_a_key_signs_no_more_although_there_are_no_aws_credentials(
    rotating_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The standby takes over, and the private key is destroyed. The rest follows later."""
    desk = rotating_desk
    compromised, standby = (pair.key_id for pair in desk.ring().pairs)
    with monkeypatch.context() as without:
        without.delenv("AWS_ACCESS_KEY_ID")
        without.delenv("AWS_SECRET_ACCESS_KEY")

        printed = desk.refused("keys", "revoke", compromised, "--yes")

    assert f"us-west-2: {compromised} signs no more. {standby} signs." in printed
    assert states(desk) == ["retiring", "active"]
    assert not (desk.folder / "keys" / f"{compromised}.pem").exists()
    desk.done("keys", "reconcile")
    assert states(desk) == ["retired", "active", "published"]


def test_a_key_that_can_not_be_replaced_is_marked_and_the_last_line_says_that_none_signs(
    rotating_desk: Desk,
) -> None:
    """Without the key-encryption secret nothing can take over, and nothing is given up."""
    desk = rotating_desk
    compromised, standby = (pair.key_id for pair in desk.ring().pairs)
    secret = (desk.folder / "secret").read_bytes()
    (desk.folder / "secret").unlink()

    printed = desk.refused("keys", "revoke", compromised, "--yes")

    assert "custody.key_encryption_secret_file" in printed
    assert f"us-west-2: {compromised} signs no more. No key signs (no_signing_key)." in printed
    assert desk.ring().pair(compromised).is_compromised
    (desk.folder / "secret").write_bytes(secret)
    (desk.folder / "secret").chmod(0o600)
    desk.done("keys", "reconcile")
    assert states(desk) == ["retired", "active", "published"]
    assert desk.ring().require_active().key_id == standby


def test_the_doctor_goes_on_without_the_key_encryption_secret(rotating_desk: Desk) -> None:
    """It is one finding. The ring is compared with IVS all the same."""
    desk = rotating_desk
    (desk.folder / "secret").unlink()
    standby = desk.ring().pairs[1]
    desk.ivs.client().delete_playback_key_pair(arn=str(standby.arn))

    result = desk.run("keys", "doctor", "--json")

    assert result.exit_code == 1
    for code in ("settings_invalid", "missing_in_ivs"):
        assert result.stdout.count(f'"{code}"') == 1
