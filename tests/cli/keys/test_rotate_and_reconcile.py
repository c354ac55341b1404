"""`keys rotate --plan, --force, --wait` and `keys reconcile --rotate-after, --watch`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import click
import pytest

from tests.cli.conftest import Desk
from tests.cli.keys.desks import imported, states, with_next_secret, without_previous_secret
from tests.token.p384.openssl import private_key_pem
from tokensvc.cli.keys.progress import NOTHING_LEFT
from tokensvc.errors import RotationRefused
from tokensvc.keyring.model import KeyState

DRAIN_SECONDS = 7_220
MONTH_SECONDS = 2_592_000
WAIT = r"T\d\d:\d\d:\d\dZ \(\d+ s\)"
"""A line with a time to wait for, and its seconds from now."""
QUICK = """
[playback]
ttl_seconds = 1
max_ttl_seconds = 1
[rotation]
publish_delay_seconds = 0
ring_max_age_seconds = 2
state_refresh_seconds = 1
clock_skew_seconds = 0
"""


# --- rotate


def test_a_custody_that_the_settings_do_not_name_is_refused(rotating_desk: Desk) -> None:
    """Workers could not load the key. The hint has both settings."""
    before = rotating_desk.ring()
    error = rotating_desk.usage_error("keys", "rotate", "--custody", "kms:alias/tokensvc/")
    assert isinstance(error, click.BadParameter)
    assert "custody.former_url" in error.message
    assert rotating_desk.ring() == before


def test_a_custody_that_all_keys_are_in_already_changes_nothing(rotating_desk: Desk) -> None:
    """The standby takes over, as without the option."""
    url = f"file:{rotating_desk.folder}/keys"
    planned = rotating_desk.json("keys", "rotate", "--plan", "--custody", url)
    assert planned == rotating_desk.json("keys", "rotate", "--plan")


def test_a_plan_has_steps_times_and_slots_and_changes_nothing(rotating_desk: Desk) -> None:
    """The old key is deleted after 7,220 s; until then three slots are taken."""
    before = rotating_desk.ring()

    planned = rotating_desk.json("keys", "rotate", "--plan")

    assert [(step["action"], step["in_seconds"], step["slots_taken"]) for step in planned] == [
        ("switch", 0, 2),
        ("record_signing_end", 0, 2),
        ("new_pair", 0, 2),
        ("make", 0, 2),
        ("import", 0, 3),
        ("intend_delete", DRAIN_SECONDS, 3),
        ("delete", DRAIN_SECONDS, 2),
        ("destroy", DRAIN_SECONDS, 2),
    ]
    assert planned[0]["key_id"] == before.pairs[1].key_id
    assert rotating_desk.ring() == before


def test_a_plan_for_people_is_a_table(rotating_desk: Desk) -> None:
    """One line for each step, and a note on standard error."""
    result = rotating_desk.run("keys", "rotate", "--plan")

    lines = result.stdout.splitlines()
    assert lines[0].split() == ["AT", "IN", "STEP", "SLOTS", "IN", "IVS"]
    assert lines[-1].split()[:3] == ["2027-01-15T10:02:20Z", "7220", "s"]
    assert len(lines) == 9
    assert len(result.stderr.splitlines()) == 1


def test_json_without_a_plan_is_wrong_use(rotating_desk: Desk) -> None:
    """Otherwise a script could rotate by mistake."""
    rotating_desk.refused("keys", "rotate", "--json", status=2)

    assert rotating_desk.ring().rotation_request is None
    assert states(rotating_desk) == ["active", "published"]


def test_a_rotation_during_a_drain_is_refused_unless_forced(rotating_desk: Desk) -> None:
    """Rule 9: the refusal has the time left; a forced rotation uses the standby."""
    rotating_desk.done("keys", "rotate")
    rotating_desk.clock.advance(60)

    for arguments in (["rotate"], ["rotate", "--plan"]):
        error = rotating_desk.error("keys", *arguments)
        assert isinstance(error, RotationRefused)
        assert "7160 s" in error.detail
        assert "--force" in error.hint

    rotating_desk.done("keys", "rotate", "--force", "--reason", "again")
    assert states(rotating_desk) == ["retiring", "retiring", "active"]


def test_the_rotation_request_of_a_rotation_that_fails_stays_recorded(rotating_desk: Desk) -> None:
    """The output says so: the next scheduled reconcile must not surprise the operator."""
    (rotating_desk.folder / "secret").write_bytes(bytes(range(1, 33)))

    printed = rotating_desk.refused("keys", "rotate")

    assert "key_encryption_secret" in printed
    assert "`tokensvc keys reconcile`" in printed.splitlines()[-1]
    assert rotating_desk.ring().rotation_request is not None
    (rotating_desk.folder / "secret").write_bytes(bytes(range(32)))
    rotating_desk.done("keys", "reconcile")
    assert states(rotating_desk) == ["retiring", "active", "published"]


def test_a_rotation_that_is_waited_for_ends_with_two_key_pairs(real_time_desk: Desk) -> None:
    """In real time: a drain of 3 s (2 s of view, 1 s of token) and no publish delay."""
    real_time_desk.settings.write_text(real_time_desk.settings.read_text() + QUICK)
    run(real_time_desk, "keys", "reconcile")

    (old,) = (pair for pair in real_time_desk.ring().pairs if pair.state is KeyState.ACTIVE)

    printed = run(real_time_desk, "keys", "rotate", "--wait")

    waits = [line for line in printed.splitlines() if re.search(WAIT, line)]
    assert any(old.key_id in line for line in waits)
    assert printed.splitlines()[-1] == f"us-west-2: {NOTHING_LEFT}"
    assert states(real_time_desk) == ["retired", "active", "published"]


def test_ctrl_c_ends_the_wait_and_reconcile_continues_the_rotation(real_time_desk: Desk) -> None:
    """The exit status is 1, because the rotation is not finished."""
    first_steps(real_time_desk)
    with started(real_time_desk, "keys", "rotate", "--wait") as process:
        until_line(process, WAIT)

        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "`tokensvc keys reconcile`" in printed.splitlines()[-1]
    assert "Traceback" not in printed
    assert states(real_time_desk) == ["retiring", "active", "published"]
    run(real_time_desk, "keys", "reconcile")


# --- reconcile


def test_a_scheduled_rotation_begins_when_the_key_has_signed_long_enough(
    rotating_desk: Desk,
) -> None:
    """Not one second earlier; the exit status is 0 when nothing is due."""
    active = rotating_desk.ring().active
    assert active is not None
    assert active.activated_at is not None
    due_at = active.activated_at + MONTH_SECONDS
    rotating_desk.clock.advance(due_at - rotating_desk.clock.now() - 1)

    rotating_desk.done("keys", "reconcile", "--rotate-after", "30d")
    assert states(rotating_desk) == ["active", "published"]

    rotating_desk.clock.advance(1)
    rotating_desk.done("keys", "reconcile", "--rotate-after", "30d")
    assert states(rotating_desk) == ["retiring", "active", "published"]
    assert rotating_desk.json("keys", "history")[-1]["by"]
    (switch,) = (
        line
        for line in rotating_desk.json("keys", "history")
        if line["to_state"] == "active" and line["why"].startswith("scheduled: ")
    )
    assert "2592000 s" in switch["why"]

    rotating_desk.done("keys", "reconcile", "--rotate-after", "30d")
    assert states(rotating_desk) == ["retiring", "active", "published"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("600s", 600), ("90m", 5_400), ("12h", 43_200), ("30d", 2_592_000)]
)
def test_a_duration_has_a_unit(rotating_desk: Desk, text: str, seconds: int) -> None:
    """Seconds, minutes, hours, days."""
    active = rotating_desk.ring().active
    assert active is not None
    assert active.activated_at is not None
    rotating_desk.clock.advance(active.activated_at + seconds - rotating_desk.clock.now())

    rotating_desk.done("keys", "reconcile", "--rotate-after", text)

    assert states(rotating_desk)[0] == "retiring"


@pytest.mark.parametrize("text", ["30", "0d", "-1d", "d", "1w", "1.5h", "30 d", "٣d"])
def test_an_invalid_duration_is_wrong_use(desk: Desk, text: str) -> None:
    """A number without a unit is ambiguous."""
    error = desk.usage_error("keys", "reconcile", f"--rotate-after={text}")

    assert isinstance(error, click.BadParameter)
    assert error.param is not None
    assert error.param.name == "rotate_after"
    assert text in error.message
    assert all(example in error.message for example in ("30d", "12h", "90m", "600s"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_watch_reconciles_until_a_signal(real_time_desk: Desk, number: signal.Signals) -> None:
    """The first key pair becomes active without another command; the exit status is 0."""
    text = QUICK.replace("publish_delay_seconds = 0", "publish_delay_seconds = 1")
    real_time_desk.settings.write_text(real_time_desk.settings.read_text() + text)
    real_time_desk.state.create()
    with started(real_time_desk, "keys", "reconcile", "--watch") as process:
        until_line(process, NOTHING_LEFT)

        process.send_signal(number)
        _, printed = process.communicate(timeout=60)

    assert process.returncode == 0
    audit = [line for line in printed.splitlines() if line.startswith("{")]
    (message,) = set(printed.splitlines()) - set(audit)
    assert "`tokensvc keys reconcile`" in message
    assert '"step":"switch"' in "".join(audit)
    assert states(real_time_desk) == ["active", "published"]


def test_a_watch_makes_its_next_key_pair_with_the_secret_of_then(real_time_desk: Desk) -> None:
    """It began before `keys rewrap`, and must not encrypt with a secret that no worker has.

    The next standby waits for the slot of the key that drains for 3 s.
    """
    desk = real_time_desk
    desk.settings.write_text(desk.settings.read_text() + QUICK)
    run(desk, "keys", "reconcile")
    imported(desk, private_key_pem(desk.folder, "secp384r1"))
    began_at = desk.ring().require_active().activated_at
    assert began_at is not None
    time.sleep(max(0.0, began_at + 1 - time.time()))
    with started(desk, "keys", "reconcile", "--watch", "--rotate-after", "1s") as process:
        until_line(process, WAIT)

        with_next_secret(desk)
        desk.done("keys", "rewrap")
        without_previous_secret(desk)
        until_line(process, NOTHING_LEFT)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)

    assert process.returncode == 0
    assert states(desk) == ["retired", "active", "published"]
    assert re.findall(r"\d+", desk.done("keys", "rewrap")) == ["0", "2"]


def first_steps(desk: Desk) -> None:
    """A ring with nothing left to do, in real time."""
    text = QUICK.replace("max_ttl_seconds = 1", "max_ttl_seconds = 600")
    desk.settings.write_text(desk.settings.read_text() + text)
    run(desk, "keys", "reconcile")


def started(desk: Desk, *arguments: str) -> subprocess.Popen[str]:
    """The command as a separate process, in real time."""
    return subprocess.Popen(
        [sys.executable, "-m", "tokensvc", "--config", str(desk.settings), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def run(desk: Desk, *arguments: str) -> str:
    """The standard output of such a process, which must end with exit status 0."""
    with started(desk, *arguments) as process:
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return output


def until_line(process: subprocess.Popen[str], pattern: str) -> None:
    """Return when the process has printed a line that matches the pattern."""
    assert process.stdout is not None
    for line in process.stdout:
        if re.search(pattern, line):
            return
    raise AssertionError(f"The process ended without printing {pattern!r}.")
