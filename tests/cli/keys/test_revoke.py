"""`tokensvc keys revoke`: its output, its effects, and what it leaves to `keys reconcile`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from local_ivs.testing import Channel, Player

from tests.cli.conftest import Desk
from tests.cli.keys.desks import states
from tokensvc.errors import KeyNotFound, StateDamaged
from tokensvc.state.base import NEW


def in_ivs(desk: Desk) -> set[str]:
    """The ARNs of the key pairs in IVS."""
    pairs = desk.ivs.client().list_playback_key_pairs(maxResults=10)["keyPairs"]
    return {one["arn"] for one in pairs}


def keys_of(desk: Desk) -> list[str]:
    """The IDs of the ring's pairs, oldest first."""
    return [one.key_id for one in desk.ring().pairs]


def test_a_revoked_key_is_deleted_and_the_standby_becomes_active(rotating_desk: Desk) -> None:
    """It is deleted from IVS and custody; the next standby is created at once."""
    compromised, standby = rotating_desk.ring().pairs

    rotating_desk.done("keys", "revoke", compromised.key_id, "--yes", "--reason", "laptop lost")

    assert states(rotating_desk) == ["retired", "active", "published"]
    assert rotating_desk.ring().active is not None
    assert str(compromised.arn) not in in_ivs(rotating_desk)
    assert str(standby.arn) in in_ivs(rotating_desk)
    assert not (rotating_desk.folder / "keys" / f"{compromised.key_id}.pem").exists()


def test_revoking_all_ends_with_new_keys(rotating_desk: Desk) -> None:
    """None of the earlier key pairs is left in IVS."""
    before = in_ivs(rotating_desk)

    rotating_desk.done("keys", "revoke", "--all", "--yes")

    assert states(rotating_desk) == ["retired", "retired", "active", "published"]
    assert in_ivs(rotating_desk).isdisjoint(before)


def test_nothing_is_revoked_without_confirmation(rotating_desk: Desk) -> None:
    """Without a terminal, the consequences are printed, and the key stays active."""
    active = keys_of(rotating_desk)[0]

    printed = rotating_desk.refused("keys", "revoke", active, status=2)

    assert f"us-west-2: {active} is active" in printed
    assert "--yes" in printed
    assert states(rotating_desk) == ["active", "published"]


def test_an_unknown_key_id_revokes_nothing(rotating_desk: Desk) -> None:
    """The known key beside it is not revoked either."""
    known = keys_of(rotating_desk)[0]

    error = rotating_desk.error("keys", "revoke", known, "typo", "--yes")

    assert isinstance(error, KeyNotFound)
    assert "'typo'" in error.detail
    assert not any(one.is_compromised for one in rotating_desk.ring().pairs)


@pytest.mark.parametrize("arguments", [[], ["k1", "--all"]], ids=str)
def test_no_key_or_both_keys_and_all_is_wrong_use(
    rotating_desk: Desk, arguments: list[str]
) -> None:
    """The command never guesses which keys to revoke."""
    rotating_desk.refused("keys", "revoke", *arguments, "--yes", status=2)

    assert states(rotating_desk) == ["active", "published"]


def test_a_region_without_keys_has_nothing_to_revoke(desk: Desk) -> None:
    """One message is printed, and the exit status is 0."""
    desk.state.create()
    result = desk.run("keys", "revoke", "--all", "--yes")

    assert (result.exit_code, result.stdout) == (0, "")
    assert len(result.stderr.splitlines()) == 1


def test_a_deletion_that_ivs_refuses_is_recorded_and_retried_by_reconcile(
    rotating_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The private key is destroyed at once; reconcile finishes when IVS answers again."""
    compromised = rotating_desk.ring().pairs[1]
    faults = rotating_desk.ivs.url + "/_local/faults"
    fault = {
        "operation": "DeletePlaybackKeyPair",
        "kind": "error",
        "error": "AccessDeniedException",
    }
    planned = urllib3.request("POST", faults, json=fault, retries=False)
    assert planned.status < 300, planned.data

    printed = rotating_desk.refused("keys", "revoke", compromised.key_id, "--yes")

    assert "`tokensvc keys reconcile`" in printed
    assert not (rotating_desk.folder / "keys" / f"{compromised.key_id}.pem").exists()
    assert states(rotating_desk) == ["active", "retiring"]

    rotating_desk.done("keys", "reconcile")
    assert states(rotating_desk) == ["active", "retired", "published"]
    assert str(compromised.arn) not in in_ivs(rotating_desk)


def test_an_unreadable_ring_does_not_stop_a_revocation_in_another_region(
    rotating_desk: Desk,
) -> None:
    """Its error is printed, and the exit status is 1 where its keys were to be revoked too."""
    text = rotating_desk.settings.read_text()
    rotating_desk.settings.write_text(text.replace('["us-west-2"]', '["eu-west-1", "us-west-2"]'))
    rotating_desk.state.save("ring:eu-west-1", "damaged", replacing=NEW)
    first = keys_of(rotating_desk)[0]

    assert isinstance(rotating_desk.error("keys", "revoke", "typo", "--yes"), StateDamaged)
    rotating_desk.done("keys", "revoke", first, "--yes")
    printed = rotating_desk.refused("keys", "revoke", "--all", "--yes")

    assert printed.startswith("eu-west-1: ")
    assert states(rotating_desk) == ["retired", "retired", "retired", "active", "published"]


# --- From an audit


@pytest.fixture(name="player")
def _player(rotating_desk: Desk) -> Iterator[Player]:
    with urllib3.PoolManager() as pool:
        yield Player(pool, rotating_desk.ivs.url)


def test_sessions_of_viewers_in_the_audit_log_are_revoked_and_the_others_counted(
    rotating_desk: Desk, player: Player, tmp_path: Path
) -> None:
    """The session of a viewer ID stops; a session without a viewer ID continues."""
    ivs = rotating_desk.ivs.client()
    made = ivs.create_channel(authorized=True)["channel"]
    rotating_desk.ivs.go_live(made["arn"])
    channel = Channel(made["arn"], made["playbackUrl"])
    named = rotating_desk.run("tokens", "sign", channel.arn, "--viewer-id", "alice")
    nameless = rotating_desk.run("tokens", "sign", channel.arn)
    alice, anonymous = (
        player.watch(channel, result.stdout.strip().partition("token=")[2])
        for result in (named, nameless)
    )
    audit = tmp_path / "audit.jsonl"
    audit.write_text("a line of a log\n" + named.stderr + nameless.stderr)
    active = keys_of(rotating_desk)[0]

    result = rotating_desk.run("keys", "revoke", active, "--from-audit", str(audit), "--yes")

    assert result.exit_code == 0, result.output
    assert alice.playlist().status == 403
    assert anonymous.playlist().status == 200
    skipped, without_viewer_id, attackers, to_revoke, revoked = result.stderr.splitlines()[-5:]
    assert "audit log" in skipped
    assert skipped.endswith(": 1.")
    assert "viewer ID: 1." in without_viewer_id
    assert "`tokensvc streams stop CHANNEL`" in without_viewer_id
    assert "attacker" in attackers
    assert [line.split()[:1] for line in (to_revoke, revoked)] == [["us-west-2:"]] * 2
    assert re.findall(r"\d+ (?:viewers?|s)\b", f"{to_revoke} {revoked}") == [
        "1 viewer",
        "1 viewer",
        "10 s",
    ]


def test_viewers_of_a_deleted_channel_are_printed_and_the_exit_status_is_1(
    rotating_desk: Desk, tmp_path: Path
) -> None:
    """The key is revoked all the same."""
    ivs = rotating_desk.ivs.client()
    arn = ivs.create_channel(authorized=True)["channel"]["arn"]
    signed = rotating_desk.run("tokens", "sign", arn, "--viewer-id", "alice")
    ivs.delete_channel(arn=arn)
    audit = tmp_path / "audit.jsonl"
    audit.write_text(signed.stderr)

    printed = rotating_desk.refused(
        "keys", "revoke", keys_of(rotating_desk)[0], "--from-audit", str(audit), "--yes"
    )

    (line,) = (line for line in printed.splitlines() if "ResourceNotFoundException" in line)
    assert "alice" in line
    assert arn in line
    assert states(rotating_desk) == ["retired", "active", "published"]


def test_a_missing_audit_log_revokes_nothing(rotating_desk: Desk, tmp_path: Path) -> None:
    """It is wrong use, before any key is marked as compromised."""
    rotating_desk.refused(
        "keys",
        "revoke",
        keys_of(rotating_desk)[0],
        "--from-audit",
        str(tmp_path / "nowhere"),
        "--yes",
        status=2,
    )

    assert states(rotating_desk) == ["active", "published"]
