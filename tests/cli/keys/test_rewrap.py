"""`tokensvc keys rewrap`."""

from __future__ import annotations

import re

from tests.cli.conftest import Desk
from tests.cli.keys.desks import with_next_secret, without_previous_secret


def rewrapped(output: str) -> list[str]:
    """The numbers of re-encrypted and of all private keys."""
    return re.findall(r"\d+", output)


def private_key_files(desk: Desk) -> dict[str, bytes]:
    """The content of every private key file, by its name."""
    return {path.name: path.read_bytes() for path in (desk.folder / "keys").glob("*.pem")}


def test_the_secret_is_changed_while_the_keys_stay_usable(rotating_desk: Desk) -> None:
    """Step by step as in the help: at each step the service can sign, and at the end rotate."""
    channel = rotating_desk.ivs.client().create_channel(authorized=True)["channel"]["arn"]
    with_next_secret(rotating_desk)
    rotating_desk.done("tokens", "sign", channel)

    result = rotating_desk.run("keys", "rewrap")

    assert result.exit_code == 0
    assert rewrapped(result.stdout) == ["2", "2"]
    assert "custody.previous_key_encryption_secret_file" in result.stderr
    rotating_desk.done("tokens", "sign", channel)

    without_previous_secret(rotating_desk)
    rotating_desk.done("tokens", "sign", channel)
    rotating_desk.done("keys", "rotate")


def test_rewrapping_again_changes_nothing(rotating_desk: Desk) -> None:
    """After a crash, or as a precaution."""
    with_next_secret(rotating_desk)
    rotating_desk.done("keys", "rewrap")

    assert rewrapped(rotating_desk.done("keys", "rewrap")) == ["0", "2"]


def test_a_damaged_private_key_is_reported_and_the_others_are_rewrapped(
    rotating_desk: Desk,
) -> None:
    """The exit status is 1, and the damaged file is not changed."""
    damaged, sound = (pair.key_id for pair in rotating_desk.ring().pairs)
    keys = rotating_desk.folder / "keys"
    (keys / f"{damaged}.pem").write_bytes(b"damaged")
    before = (keys / f"{sound}.pem").read_bytes()
    with_next_secret(rotating_desk)

    printed = rotating_desk.refused("keys", "rewrap")

    assert damaged in printed
    assert sound not in printed
    assert (keys / f"{damaged}.pem").read_bytes() == b"damaged"
    assert (keys / f"{sound}.pem").read_bytes() != before


def test_a_new_secret_without_the_previous_one_names_the_missing_setting(
    rotating_desk: Desk,
) -> None:
    """Both files stay unchanged, and are counted as failed."""
    with_next_secret(rotating_desk)
    without_previous_secret(rotating_desk)

    before = private_key_files(rotating_desk)

    result = rotating_desk.run("keys", "rewrap")

    assert result.exit_code == 1
    assert rewrapped(result.stdout) == ["0", "2"]
    assert "custody.previous_key_encryption_secret_file" in result.stderr
    assert re.findall(r"\d+", result.stderr.splitlines()[-1]) == ["2"]
    assert private_key_files(rotating_desk) == before
