"""`tokensvc keys list` and `keys show`."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Desk
from tests.cli.keys.desks import imported, with_two_regions
from tests.token.p384.openssl import private_key_pem, public_key_pem
from tokensvc.errors import KeyNotFound
from tokensvc.keyring.model import KeyState
from tokensvc.state.base import NEW
from tokensvc.token.p384 import PublicKey


def test_list_shows_our_key_pairs_and_foreign_ones(rotating_desk: Desk) -> None:
    """In JSON for programs, in a table for people."""
    foreign = imported(rotating_desk, private_key_pem(rotating_desk.folder, "secp384r1"))
    active, standby = rotating_desk.ring().pairs
    rows = rotating_desk.json("keys", "list")
    assert [(row["key_id"], row["state"], row["in_ivs"]) for row in rows] == [
        (active.key_id, "active", True),
        (standby.key_id, "published", True),
        (None, "foreign", True),
    ]
    assert rows[2]["arn"] == foreign
    assert rows[0]["since"] == "2027-01-15T08:01:00Z"
    table = rotating_desk.done("keys", "list").splitlines()
    assert table[0].split() == [
        "REGION",
        "KEY",
        "STATE",
        "IN",
        "IVS",
        "SINCE",
        "FINGERPRINT",
        "ARN",
    ]
    assert table[1].split() == [
        "us-west-2",
        active.key_id,
        "active",
        "yes",
        "2027-01-15T08:01:00Z",
        rows[0]["fingerprint"],
        str(active.arn),
    ]


def test_list_shows_the_owner_of_a_pair_without_a_record(rotating_desk: Desk) -> None:
    """This deployment or another one, because each needs a different fix."""
    ivs = rotating_desk.ivs.client()
    (standby,) = [pair for pair in rotating_desk.ring().pairs if pair.state is KeyState.PUBLISHED]
    ivs.delete_playback_key_pair(arn=str(standby.arn))
    for deployment in (rotating_desk.ring().deployment, "another"):
        ivs.import_playback_key_pair(
            publicKeyMaterial=public_key_pem(private_key_pem(rotating_desk.folder, "secp384r1")),
            tags={"tokensvc:deployment": deployment},
        )

    rows = rotating_desk.json("keys", "list")

    assert sorted((row["state"], row["in_ivs"]) for row in rows) == [
        ("active", True),
        ("other_deployment", True),
        ("published", False),
        ("unrecorded", True),
    ]


def test_list_does_not_treat_a_different_key_at_a_recorded_arn_as_ours(rotating_desk: Desk) -> None:
    """Ours means the same fingerprint (rule 5)."""
    stored = rotating_desk.state.load("ring:us-west-2")
    assert stored is not None
    active, standby = rotating_desk.ring().pairs
    swapped = stored.body.replace(str(active.arn), "x").replace(str(standby.arn), str(active.arn))
    body = swapped.replace('"arn":"x"', f'"arn":"{standby.arn}"')
    rotating_desk.state.save("ring:us-west-2", body, replacing=stored.version)
    rotating_desk.ivs.client().delete_playback_key_pair(arn=str(standby.arn))

    rows = rotating_desk.json("keys", "list")

    assert [(row["key_id"], row["in_ivs"]) for row in rows] == [
        (active.key_id, True),
        (standby.key_id, False),
    ]


def test_list_shows_the_other_regions_if_a_ring_can_not_be_read(rotating_desk: Desk) -> None:
    """That helps in an incident; the exit status shows that the list is incomplete."""
    desk = with_two_regions(rotating_desk)
    desk.state.save("ring:eu-west-1", "damaged", replacing=NEW)

    result = desk.run("keys", "list")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert rotating_desk.ring().pairs[0].key_id in result.stdout


def test_list_shows_the_recorded_key_pairs_if_ivs_can_not_be_reached(
    rotating_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That helps in an incident; the exit status shows that the list is incomplete."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_IVS", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    result = rotating_desk.run("keys", "list")
    assert result.exit_code == 1
    assert "http://127.0.0.1:9" in result.stderr
    assert rotating_desk.ring().pairs[0].key_id in result.stdout
    assert "?" in result.stdout


def test_show_prints_everything_about_a_pair_except_its_private_key(rotating_desk: Desk) -> None:
    """Public key, thumbprint, times and history."""
    active = rotating_desk.ring().pairs[0]
    assert active.public_key is not None
    shown = rotating_desk.json("keys", "show", active.key_id)
    assert PublicKey.from_pem(shown["public_key"]) == active.public_key
    assert shown["thumbprint"] == active.public_key.thumbprint
    assert shown["created_at"] == "2027-01-15T08:00:00Z"
    assert shown["deleted_at"] is None
    assert [line["to_state"] for line in shown["history"]] == ["pending", "published", "active"]
    text = rotating_desk.done("keys", "show", active.key_id)
    assert active.public_key.pem in text
    assert "PRIVATE" not in text


def test_an_unknown_key_id_is_an_error(desk: Desk) -> None:
    """The hint names the command that lists the key pairs."""
    desk.state.create()
    error = desk.error("keys", "show", "nope")
    assert isinstance(error, KeyNotFound)
    assert "`tokensvc keys list`" in error.hint
