"""The audit lines of the key pairs: one for each change that was saved, from every command."""

from __future__ import annotations

import getpass
import json
import os
import pty
import socket
import sys
from pathlib import Path
from typing import Any, TextIO

import click
import pytest

from tests.cli.conftest import Desk
from tests.keyring.rings import REGION
from tests.support.clock import EXAMPLE_NOW
from tokensvc.cli.change_audit import write_change
from tokensvc.cli.main import cli
from tokensvc.keyring.changes import Decision, RingChange
from tokensvc.keyring.model import Act, KeyState
from tokensvc.keyring.steps import Action

PAGE = Path(__file__).parents[3] / "docs/rotation.md"
OPERATOR = f"{getpass.getuser()}@{socket.gethostname()}"


def audited(stderr: str) -> list[dict[str, Any]]:
    """The audit lines of changes."""
    return [line for line in all_lines(stderr) if line["event"] == "ring_changed"]


def all_lines(stderr: str) -> list[dict[str, Any]]:
    """The audit lines; all else on standard error is for people."""
    return [json.loads(line) for line in stderr.splitlines() if line.startswith("{")]


def changes(stderr: str) -> list[tuple[str, str | None]]:
    """Each step, and the key pair that it is about."""
    return [(line["step"], line["key_id"]) for line in audited(stderr)]


def test_the_first_pass_of_a_job_audits_each_change(desk: Desk) -> None:
    """A new ring, and its first key pair, which waits for the publish delay."""
    line, *others = audited(desk.run("keys", "reconcile").stderr)

    (key_id,) = [pair.key_id for pair in desk.ring().pairs]
    assert line == {
        "at": "2027-01-15T08:00:00Z",
        "event": "ring_changed",
        "region": "us-west-2",
        "step": "create_ring",
        "key_id": None,
        "by": OPERATOR,
        "reason": "the region has no ring yet",
        "command": "tokensvc keys reconcile",
    }
    assert [(one["step"], one["key_id"]) for one in others] == [
        ("new_pair", key_id),
        ("make", key_id),
        ("import", key_id),
    ]
    assert {one["reason"] for one in others} == {"reconcile"}


def test_a_pass_that_changes_nothing_audits_nothing(rotating_desk: Desk) -> None:
    """A job that runs every minute adds a line only when it did something."""
    assert all_lines(rotating_desk.run("keys", "reconcile").stderr) == []


def test_a_scheduled_rotation_and_its_drain_are_audited(rotating_desk: Desk) -> None:
    """From the request to the destroyed private key, in the order in which it happened."""
    old, standby = (pair.key_id for pair in rotating_desk.ring().pairs)

    switched = rotating_desk.run("keys", "reconcile", "--rotate-after", "60s").stderr
    new = rotating_desk.ring().pairs[2].key_id
    rotating_desk.clock.advance(7_220)
    drained = rotating_desk.run("keys", "reconcile").stderr

    assert changes(switched) == [
        ("request_rotation", None),
        ("switch", standby),
        ("record_signing_end", old),
        ("new_pair", new),
        ("make", new),
        ("import", new),
    ]
    reason = "scheduled: the key has signed for 60 s or longer"
    assert [line["reason"] for line in audited(switched)[:2]] == [reason, reason]
    assert changes(drained) == [("intend_delete", old), ("delete", old), ("destroy", old)]
    assert rotating_desk.ring().pair(old).state is KeyState.RETIRED


def test_decisions_of_an_operator_are_audited_with_their_reasons(rotating_desk: Desk) -> None:
    """A rotation, its rollback, lower terms, and a revocation that discards the standby."""
    desk = rotating_desk
    old, standby = (pair.key_id for pair in desk.ring().pairs)
    desk.done("keys", "rotate")
    rollback = desk.run("keys", "rollback", "--reason", "players fail").stderr
    with desk.settings.open("a") as settings:
        settings.write("[playback]\nmax_ttl_seconds = 600\n")
    terms = desk.run("keys", "terms", "--lower", "--reason", "shorter tokens").stderr
    (next_standby,) = (p.key_id for p in desk.ring().in_state(KeyState.PUBLISHED))
    (desk.folder / "keys" / f"{next_standby}.pem").unlink()
    revoked = desk.run("keys", "revoke", old, "--yes", "--reason", "laptop lost").stderr

    assert changes(rollback)[:2] == [("roll_back", old), ("record_signing_end", standby)]
    assert audited(rollback)[0]["reason"] == "players fail"
    assert changes(terms) == [("lower_terms", None), ("record_terms_end", None)]
    assert audited(terms)[0]["reason"] == "shorter tokens"
    assert changes(revoked)[0] == ("declare_compromised", old)
    assert ("discard", next_standby) in changes(revoked)
    assert {line["command"] for line in audited(revoked)} == {"tokensvc keys revoke"}
    assert audited(revoked)[0]["reason"] == "laptop lost"


def test_a_step_that_failed_is_not_audited_but_its_failure_is(rotating_desk: Desk) -> None:
    """The request stays. A second failure for the same reason is not a change."""
    standby = rotating_desk.ring().standby
    assert standby is not None
    file = rotating_desk.folder / "keys" / f"{standby.key_id}.pem"
    file.write_bytes(b"damaged")

    first = rotating_desk.run("keys", "rotate")
    again = rotating_desk.run("keys", "reconcile")

    assert (first.exit_code, again.exit_code) == (1, 1)
    assert changes(first.stderr) == [("request_rotation", None), ("record_failure", None)]
    assert standby.key_id in audited(first.stderr)[1]["reason"]
    assert audited(again.stderr) == []


@pytest.mark.parametrize("step", [*Action, *Decision])
def test_the_documentation_names_every_step(step: Action | Decision) -> None:
    """Programs rely on these names."""
    assert f"`{step.value}`" in PAGE.read_text()


def write_in_a_command(stderr: TextIO | None) -> None:
    """Write the line of a change in a command that has that standard error."""
    act = Act(EXAMPLE_NOW, "ann@desk", "laptop lost")
    change = RingChange(REGION, Decision.DECLARE_COMPROMISED, "k1", act)
    with pytest.MonkeyPatch.context() as patch, click.Context(cli, info_name="tokensvc").scope():
        patch.setattr(sys, "stderr", stderr)
        write_change(change)


def test_a_log_that_can_not_be_written_stops_nothing() -> None:
    """A full disk or an absent standard error must not keep a compromised key active."""
    write_in_a_command(None)
    full = Path("/dev/full").open("w")  # noqa: SIM115 # Closing it fails, too.
    write_in_a_command(full)
    with pytest.raises(OSError, match="No space"):
        full.close()


def test_a_person_at_a_terminal_reads_no_json() -> None:
    """There, the command prints its progress."""
    controller, terminal = pty.openpty()
    with os.fdopen(controller, "rb", buffering=0) as screen, os.fdopen(terminal, "w") as stderr:
        write_in_a_command(stderr)
        stderr.write("the end\n")
        stderr.flush()
        assert screen.read(1_000) == b"the end\r\n"
