"""A state in schema version 1: a restore into it, and what it refuses until it is upgraded."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Desk
from tests.cli.keys.desks import imported, states
from tests.cli.test_state_upgrade import RING, as_of_previous_release, assert_version_1, versions
from tests.token.p384.openssl import private_key_pem
from tokensvc.errors import RotationRefused


def test_a_restore_brings_a_state_of_the_previous_release_into_the_current_schema(
    rotating_desk: Desk, tmp_path: Path
) -> None:
    """A process of the previous release would delete what must drain, so it must not read it."""
    desk, backup = rotating_desk, tmp_path / "backup"
    as_of_previous_release(desk)
    channel = desk.ivs.client().create_channel(authorized=True)["channel"]["arn"]
    active, standby = desk.ring().pairs
    desk.done("state", "backup", str(backup))
    desk.done("keys", "revoke", standby.key_id, "--yes")
    assert_version_1(desk)

    desk.done("state", "restore", str(backup), "--replace", "--yes")

    assert versions(desk) == {
        "api-keys": 2,
        "bans": 2,
        "issuer-refreshes": 2,
        RING: 2,
        "schema": 2,
    }
    assert desk.ring().pairs == (active, standby)
    assert desk.json("tokens", "sign", channel)["key_id"] == active.key_id
    desk.refused("keys", "reconcile")
    restoration = desk.ring().restoration
    assert restoration is not None
    assert restoration.restored_at == desk.clock.now()
    assert [key["needs_confirmation"] for key in desk.json("api-keys", "list")] == [True]


def test_an_adoption_that_the_previous_release_can_not_read_leaves_no_private_key(
    rotating_desk: Desk, tmp_path: Path
) -> None:
    """It is refused before the private key is copied into custody, and possible after the upgrade.

    Without the lifetime of its tokens the key would be deleted while they are valid.
    """
    desk = rotating_desk
    as_of_previous_release(desk)
    private_key = private_key_pem(tmp_path, "secp384r1")
    arn = imported(desk, private_key)
    adopt = ["keys", "adopt", "--private-key", str(private_key), "--arn", arn]
    files = {path.name for path in (desk.folder / "keys").glob("*.pem")}

    error = desk.error(*adopt, "--longest-ttl-seconds", "7200")

    assert isinstance(error, RotationRefused)
    assert "`tokensvc state upgrade`" in error.hint
    assert {path.name for path in (desk.folder / "keys").glob("*.pem")} == files
    assert_version_1(desk)
    desk.done("state", "upgrade", "--yes")
    key_id = desk.done(*adopt, "--longest-ttl-seconds", "7200").strip()
    assert desk.ring().pair(key_id).adopted_ttl_seconds == 7_200


def test_terms_are_not_lowered_in_a_state_of_the_previous_release(rotating_desk: Desk) -> None:
    """It has no member for the earlier terms, which still count in drains."""
    desk = rotating_desk
    as_of_previous_release(desk)
    text = desk.settings.read_text()
    desk.settings.write_text(f"{text}[playback]\nttl_seconds = 60\nmax_ttl_seconds = 120\n")

    error = desk.error("keys", "terms", "--lower")

    assert isinstance(error, RotationRefused)
    assert "`tokensvc state upgrade`" in error.hint
    assert_version_1(desk)
    desk.done("state", "upgrade", "--yes")
    desk.done("keys", "terms", "--lower")
    assert desk.ring().terms.longest_ttl_seconds == 120
    assert states(desk) == ["active", "published"]
