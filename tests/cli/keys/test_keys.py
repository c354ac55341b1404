"""`tokensvc keys`, with real state, custody and Local IVS."""

from __future__ import annotations

import json
import os
import re

import click
import pytest

from tests.cli.conftest import Desk
from tests.cli.keys.desks import imported, states, with_two_regions
from tests.support.deadline import deadline
from tests.token.p384.openssl import private_key_pem
from tokensvc.arns import PlaybackKeyArn
from tokensvc.cli.keys.progress import NOTHING_LEFT
from tokensvc.errors import InvalidKeyMaterial, KeyNotFound, RotationRefused
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.steps import Action, Step
from tokensvc.state.base import NEW

TWO_REGIONS = 'regions = ["us-west-2", "eu-west-1"]'


def test_reconcile_does_every_step_that_is_due_for_the_first_key_pair(desk: Desk) -> None:
    """It is created and imported, with the time of the next step; then it becomes active."""
    printed = desk.done("keys", "reconcile")
    assert "2027-01-15T08:01:00Z (60 s)" in printed.splitlines()[-1]
    assert states(desk) == ["published"]
    first = desk.ring().pairs[0].key_id
    desk.clock.advance(60)
    assert f"us-west-2: {Step(Action.SWITCH, first).sentence}" in desk.done("keys", "reconcile")
    active = desk.ring().active
    assert active is not None
    assert active.key_id == first
    assert states(desk) == ["active", "published"]
    assert desk.done("keys", "reconcile") == f"us-west-2: {NOTHING_LEFT}\n"


def test_generate_and_import_work_step_by_step(desk: Desk) -> None:
    """Only the import creates the key pair in IVS."""
    key_id = desk.done("keys", "generate", "--reason", "first").strip()
    assert states(desk) == ["pending"]
    assert desk.ivs.client().list_playback_key_pairs()["keyPairs"] == []
    arn = desk.done("keys", "import").strip()
    pair = desk.ring().pair(key_id)
    assert (pair.state, str(pair.arn)) == (KeyState.PUBLISHED, arn)
    held = desk.ivs.client().get_playback_key_pair(arn=arn)["keyPair"]
    assert pair.public_key is not None
    assert held["fingerprint"] == pair.public_key.fingerprint
    assert held["name"] == f"tokensvc-{key_id}"


def test_import_without_a_pending_pair_is_an_error(desk: Desk) -> None:
    """The hint names the command that creates a key pair."""
    desk.state.create()
    error = desk.error("keys", "import")
    assert isinstance(error, KeyNotFound)
    assert "`tokensvc keys generate --region us-west-2`" in error.hint


def test_a_key_pair_that_was_created_elsewhere_is_adopted_and_signs(desk: Desk) -> None:
    """The private key comes from a file, and the key pair is already in IVS."""
    private_key = private_key_pem(desk.folder, "secp384r1")
    arn = imported(desk, private_key)
    key_id = desk.done("keys", "adopt", "--private-key", str(private_key), "--arn", arn).strip()
    pair = desk.ring().pair(key_id)
    assert (str(pair.arn), pair.state, pair.adopted) == (arn, KeyState.PUBLISHED, True)
    desk.clock.advance(60)
    desk.done("keys", "reconcile")
    assert desk.ring().active == desk.ring().pair(key_id)
    assert private_key.exists()


def test_adopting_a_different_private_key_is_refused_and_changes_nothing(desk: Desk) -> None:
    """Its fingerprint differs from the one in IVS."""
    arn = imported(desk, private_key_pem(desk.folder, "secp384r1"))
    other = private_key_pem(desk.folder, "secp384r1")
    error = desk.error("keys", "adopt", "--private-key", str(other), "--arn", arn)
    assert isinstance(error, InvalidKeyMaterial)
    assert arn in error.detail
    assert desk.ivs.client().get_playback_key_pair(arn=arn)["keyPair"]["fingerprint"] in (
        error.detail
    )
    assert not list((desk.folder / "keys").glob("*.pem"))


@pytest.mark.parametrize("content", [b"no key", None], ids=["not-a-key", "missing"])
def test_a_file_without_a_private_key_is_refused(desk: Desk, content: bytes | None) -> None:
    """No call to IVS was made."""
    path = desk.folder / "x.pem"
    if content is not None:
        path.write_bytes(content)
    arn = "arn:aws:ivs:us-west-2:123456789012:playback-key/abcdEFGHijkl"
    error = desk.error("keys", "adopt", "--private-key", str(path), "--arn", arn)
    assert isinstance(error, InvalidKeyMaterial)
    assert str(path) in error.detail
    assert isinstance(error.__cause__, OSError) is (content is None)
    assert desk.ivs.succeeded_operations == set()


def test_a_private_key_is_adopted_from_standard_input(desk: Desk) -> None:
    """From a secret store, so that it is in no file; here as JSON with escaped newlines."""
    private_key = private_key_pem(desk.folder, "secp384r1")
    arn = imported(desk, private_key)
    stored = json.dumps({"private_key": private_key.read_text()}).encode()
    adopted = desk.run("keys", "adopt", "--private-key", "-", "--arn", arn, standard_input=stored)
    assert adopted.exit_code == 0
    assert desk.ring().pair(adopted.stdout.strip()).arn == PlaybackKeyArn.parse(arn)


def test_a_pipe_is_named_without_waiting_and_an_open_file_reported(desk: Desk) -> None:
    """A file that everyone could read is adopted, with the advice to rotate."""
    private_key = private_key_pem(desk.folder, "secp384r1")
    arn = imported(desk, private_key)
    os.mkfifo(desk.folder / "pipe")
    with deadline(10):
        error = desk.error(
            "keys", "adopt", "--private-key", str(desk.folder / "pipe"), "--arn", arn
        )
    assert isinstance(error, InvalidKeyMaterial)
    assert "named pipe" in error.detail
    private_key.chmod(0o644)
    adopted = desk.run("keys", "adopt", "--private-key", str(private_key), "--arn", arn)
    assert adopted.exit_code == 0
    assert "0644" in adopted.stderr
    assert "tokensvc keys rotate" in adopted.stderr


def test_the_arn_of_a_channel_is_wrong_use(desk: Desk) -> None:
    """The ARN of a key pair is needed."""
    arn = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"
    error = desk.usage_error("keys", "adopt", "--private-key", "x", "--arn", arn)
    assert isinstance(error, click.BadParameter)
    assert error.param_hint == "--arn"
    assert "playback-key" in error.message


def test_a_key_pair_of_a_region_that_is_not_configured_is_wrong_use(desk: Desk) -> None:
    """The region came from the ARN, so the error names --arn."""
    private_key = private_key_pem(desk.folder, "secp384r1")
    arn = "arn:aws:ivs:eu-west-1:123456789012:playback-key/abcdEFGHijkl"
    error = desk.usage_error("keys", "adopt", "--private-key", str(private_key), "--arn", arn)
    assert isinstance(error, click.BadParameter)
    assert error.param_hint == "--arn"
    assert re.findall(r"\w+-\w+-\d", error.message) == ["eu-west-1", "us-west-2"]


@pytest.mark.parametrize("reason", ["two\nlines", "\x1b[2J", "\udcff"], ids=ascii)
def test_a_reason_must_be_one_printable_line(desk: Desk, reason: str) -> None:
    """It is shown in the history, and stored as UTF-8."""
    error = desk.usage_error("keys", "generate", "--reason", reason)
    assert isinstance(error, click.BadParameter)
    assert error.param is not None
    assert error.param.name == "reason"
    assert not (desk.folder / "keys").exists()


def test_rotate_switches_to_the_standby_and_prints_the_end_of_the_drain(
    rotating_desk: Desk,
) -> None:
    """The old key stays in IVS until its last token has expired; the history has who and why."""
    old, standby = rotating_desk.ring().pairs
    printed = rotating_desk.done("keys", "rotate", "--reason", "quarterly")
    ring = rotating_desk.ring()
    assert ring.active == ring.pair(standby.key_id)
    assert ring.pair(old.key_id).state is KeyState.RETIRING
    # 3,600 s of ring age, 3,600 s of token, twice 10 s of skew; it is 08:02:00.
    last = printed.splitlines()[-1]
    assert last.startswith("us-west-2: ")
    assert "2027-01-15T10:02:20Z (7220 s)" in last
    assert old.key_id in last
    switch = [line for line in ring.history if line.to_state is KeyState.ACTIVE][-1]
    assert switch.why == "quarterly"
    assert "@" in switch.by


def test_a_second_rotation_during_the_drain_is_refused_with_the_time_left(
    rotating_desk: Desk,
) -> None:
    """The error names the old key and its deadline."""
    old = rotating_desk.ring().pairs[0].key_id
    rotating_desk.done("keys", "rotate")
    error = rotating_desk.error("keys", "rotate")
    assert isinstance(error, RotationRefused)
    for data in (old, "2027-01-15T10:02:20Z", "7220 s"):
        assert data in error.detail


def test_after_the_drain_the_old_key_is_deleted_from_ivs_and_custody(rotating_desk: Desk) -> None:
    """3,600 + 3,600 + 20 seconds after the end of signing, and not one second earlier."""
    old = rotating_desk.ring().pairs[0]
    rotating_desk.done("keys", "rotate")
    rotating_desk.clock.advance(7_219)
    rotating_desk.done("keys", "reconcile")
    assert rotating_desk.ring().pair(old.key_id).state is KeyState.RETIRING
    rotating_desk.clock.advance(1)
    steps = rotating_desk.done("keys", "reconcile").splitlines()
    assert f"us-west-2: {Step(Action.DELETE, old.key_id).sentence}" in steps
    assert rotating_desk.ring().pair(old.key_id).state is KeyState.RETIRED
    in_ivs = [row for row in rotating_desk.json("keys", "list") if row["in_ivs"]]
    assert str(old.arn) not in {row["arn"] for row in in_ivs}
    assert not (rotating_desk.folder / f"keys/{old.key_id}.pem").exists()


@pytest.mark.parametrize("command", ["generate", "import", "rotate"])
def test_a_region_must_be_named_if_several_are_configured(desk: Desk, command: str) -> None:
    """A command that changes something never guesses the region."""
    error = with_two_regions(desk).usage_error("keys", command)
    assert isinstance(error, click.BadParameter)
    assert error.param_hint == "--region"
    assert re.findall(r"\w+-\w+-\d", error.message) == ["us-west-2", "eu-west-1"]


def test_a_region_that_is_not_configured_is_wrong_use(desk: Desk) -> None:
    """The error lists the configured regions."""
    error = desk.usage_error("keys", "reconcile", "--region", "eu-west-1")
    assert isinstance(error, click.BadParameter)
    assert error.param_hint == "--region"
    assert re.findall(r"\w+-\w+-\d", error.message) == ["eu-west-1", "us-west-2"]


def test_a_region_that_fails_does_not_stop_reconcile_in_the_others(desk: Desk) -> None:
    """The exit status is 1, and the error follows the name of its region."""
    desk.state.create()
    with_two_regions(desk).state.save("ring:us-west-2", "damaged", replacing=NEW)
    result = desk.run("keys", "reconcile")
    assert result.exit_code == 1
    assert result.stderr.startswith("us-west-2:\nError: ")
    assert states(desk, "eu-west-1") == ["published"]


def test_a_ring_is_bound_to_its_account(rotating_desk: Desk) -> None:
    """Settings of another account, by mistake, change nothing."""
    text = rotating_desk.settings.read_text().replace("123456789012", "210987654321")
    rotating_desk.settings.write_text(text)
    error = rotating_desk.error("keys", "rotate")
    assert isinstance(error, RotationRefused)
    assert re.findall(r"\d{12}", error.detail) == ["123456789012", "210987654321"]


def test_a_wrong_key_encryption_secret_is_reported_and_no_key_is_switched(
    rotating_desk: Desk,
) -> None:
    """The active key stays active."""
    active = rotating_desk.ring().active
    (rotating_desk.folder / "secret").write_bytes(bytes(range(100, 132)))
    printed = rotating_desk.refused("keys", "rotate")
    assert "key_encryption_secret" in printed
    assert rotating_desk.ring().active == active


@pytest.mark.parametrize(
    ("command", "operations"),
    [
        ("generate", "Calls no operation of IVS"),
        ("import", "Calls ImportPlaybackKeyPair"),
        ("adopt", "Calls GetPlaybackKeyPair"),
        ("list", "Calls ListPlaybackKeyPairs and GetPlaybackKeyPair"),
        ("show", "Calls no operation of IVS"),
        ("rotate", "Calls ListPlaybackKeyPairs"),
        ("reconcile", "Calls ListPlaybackKeyPairs"),
    ],
)
def test_each_command_names_the_operations_that_it_calls(
    desk: Desk, command: str, operations: str
) -> None:
    """An operator needs to know which permissions the command needs."""
    assert operations in " ".join(desk.done("keys", command, "--help").split())
