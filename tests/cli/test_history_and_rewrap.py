"""`tokensvc keys history` and `keys rewrap`."""

from __future__ import annotations

from tests.cli.conftest import Desk

CHANGED = """
key_encryption_secret_file = "next-secret"
previous_key_encryption_secret_file = "secret"
"""


def with_next_secret(desk: Desk) -> None:
    """Settings as they are while the secret is being changed."""
    (desk.folder / "next-secret").write_bytes(bytes(range(1, 33)))
    text = desk.settings.read_text()
    desk.settings.write_text(text.replace('key_encryption_secret_file = "secret"', CHANGED))


def without_previous_secret(desk: Desk) -> None:
    """Settings as they are when the change is over."""
    text = desk.settings.read_text()
    desk.settings.write_text(text.replace('previous_key_encryption_secret_file = "secret"', ""))


# --- history


def test_history_tells_who_moved_which_key_when_and_why(rotating_desk: Desk) -> None:
    """Every transition of a first key and its standby, oldest first."""
    first, standby = (pair.key_id for pair in rotating_desk.ring().pairs)

    lines = rotating_desk.json("keys", "history")

    assert [(line["key_id"], line["from_state"], line["to_state"]) for line in lines] == [
        (first, None, "pending"),
        (first, "pending", "published"),
        (first, "published", "active"),
        (standby, None, "pending"),
        (standby, "pending", "published"),
    ]
    assert [line["at"] for line in lines[1:3]] == ["2027-01-15T08:00:00Z", "2027-01-15T08:01:00Z"]
    assert all("@" in line["by"] and line["why"] for line in lines)
    assert {line["region"] for line in lines} == {"us-west-2"}


def test_history_of_one_key_and_the_day_it_was_stolen(rotating_desk: Desk) -> None:
    """`stolen` is told in its place, with the reason."""
    stolen = rotating_desk.ring().pairs[1].key_id
    rotating_desk.done("keys", "revoke", stolen, "--yes", "--reason", "laptop lost")

    lines = rotating_desk.json("keys", "history", stolen)

    assert [line["to_state"] for line in lines] == [
        "pending",
        "published",
        "compromised",
        "retiring",
        "retired",
    ]
    assert lines[2]["why"] == "laptop lost"


def test_history_for_people_is_a_table(rotating_desk: Desk) -> None:
    """A heading and a line for each transition."""
    told = rotating_desk.done("keys", "history").splitlines()

    assert told[0].split() == ["AT", "REGION", "KEY", "FROM", "TO", "BY", "WHY"]
    assert len(told) == 6


def test_a_region_without_a_ring_has_no_history(desk: Desk) -> None:
    """An empty list, and nothing is made."""
    assert desk.json("keys", "history") == []
    assert desk.state.load("ring:us-west-2") is None


def test_the_history_of_an_unknown_key_is_refused(rotating_desk: Desk) -> None:
    """A slip in the ID is no key that nothing ever happened to."""
    assert "`tokensvc keys history` prints all" in rotating_desk.refused("keys", "history", "typo")


# --- rewrap


def test_the_secret_is_changed_while_the_keys_go_on(rotating_desk: Desk) -> None:
    """Step by step as the help says: at every step the service can sign and the ring can move."""
    channel = rotating_desk.ivs.client().create_channel(authorized=True)["channel"]["arn"]
    with_next_secret(rotating_desk)
    rotating_desk.done("tokens", "sign", channel)

    told = rotating_desk.run("keys", "rewrap")

    assert told.stdout == "2 of 2 private halves are encrypted anew.\n"
    assert "take custody.previous_key_encryption_secret_file out" in told.stderr
    rotating_desk.done("tokens", "sign", channel)

    without_previous_secret(rotating_desk)
    rotating_desk.done("tokens", "sign", channel)
    rotating_desk.done("keys", "rotate")


def test_rewrapping_again_finds_nothing_to_do(rotating_desk: Desk) -> None:
    """After a crash, or out of caution."""
    with_next_secret(rotating_desk)
    rotating_desk.done("keys", "rewrap")

    assert rotating_desk.done("keys", "rewrap") == "0 of 2 private halves are encrypted anew.\n"


def test_a_damaged_half_is_told_and_the_others_are_rewrapped(rotating_desk: Desk) -> None:
    """Exit status 1; what is damaged stays as it is."""
    damaged, sound = (pair.key_id for pair in rotating_desk.ring().pairs)
    keys = rotating_desk.folder / "keys"
    (keys / f"{damaged}.pem").write_bytes(b"damaged")
    before = (keys / f"{sound}.pem").read_bytes()
    with_next_secret(rotating_desk)

    said = rotating_desk.refused("keys", "rewrap")

    assert f"The private half of {damaged} is damaged" in said
    assert (keys / f"{damaged}.pem").read_bytes() == b"damaged"
    assert (keys / f"{sound}.pem").read_bytes() != before


def test_a_new_secret_without_the_one_before_is_told_which_setting_is_missing(
    rotating_desk: Desk,
) -> None:
    """Nothing is changed by a half-done change of settings."""
    with_next_secret(rotating_desk)
    without_previous_secret(rotating_desk)

    said = rotating_desk.refused("keys", "rewrap")

    assert "custody.previous_key_encryption_secret_file" in said
    assert "2 stay as they were" in said
