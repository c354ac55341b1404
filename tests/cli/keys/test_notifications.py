"""Notifications as an operator and a receiver see them, and the last run of `keys reconcile`."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from tests.cli.conftest import Desk
from tests.support.webhook_receiver import SECRET, WebhookReceiver, unused_port, webhook_receiver
from tokensvc import operations
from tokensvc.aws import AwsTerms
from tokensvc.errors import NotificationFailed, SettingsInvalid
from tokensvc.keyring.reporting.notifications import NotificationType

PAGE = Path(__file__).parents[3] / "docs/rotation.md"


@pytest.fixture(name="receiver")
def _receiver() -> Iterator[WebhookReceiver]:
    with webhook_receiver() as receiver:
        yield receiver


def notify(desk: Desk, url: str) -> None:
    """Configure the webhook, with the secret in a file."""
    with desk.settings.open("a") as settings:
        settings.write(f'[notify]\nwebhook_url = "{url}"\nwebhook_secret_file = "webhook"\n')
    file = desk.folder / "webhook"
    file.write_text(f"{SECRET}\n")
    file.chmod(0o600)


def events(stderr: str) -> list[str]:
    """The events of the audit lines that are not about changes of the ring."""
    lines = [json.loads(line) for line in stderr.splitlines() if line.startswith("{")]
    return [line["event"] for line in lines if line["event"] != "ring_changed"]


def test_a_scheduled_job_notifies_a_rotation(
    real_time_desk: Desk, receiver: WebhookReceiver
) -> None:
    """The library verifies the messages; the audit has the wait, with and without a receiver."""
    desk = real_time_desk
    notify(desk, receiver.url)
    begun = desk.run("keys", "reconcile")
    again = desk.run("keys", "reconcile")

    assert (begun.exit_code, events(begun.stderr), events(again.stderr)) == (
        0,
        ["rotation_waiting"],
        [],
    )
    (message,) = receiver.messages
    content = message.verified()
    (key_id,) = [pair.key_id for pair in desk.ring().pairs]
    assert (content["type"], content["data"]["key_id"], content["data"]["code"]) == (
        "rotation_waiting",
        key_id,
        "publish_delay",
    )
    (line,) = [
        json.loads(line) for line in begun.stderr.splitlines() if '"rotation_waiting"' in line
    ]
    assert line.pop("command") == "tokensvc keys reconcile"
    assert line == {"at": content["timestamp"], "event": content["type"]} | content["data"]
    assert SECRET not in begun.output + again.output


def test_an_emergency_is_not_delayed_and_is_notified_by_the_next_run(
    rotating_desk: Desk, receiver: WebhookReceiver
) -> None:
    """`keys revoke` sends nothing itself."""
    desk = rotating_desk
    notify(desk, receiver.url)
    compromised, standby = (pair.key_id for pair in desk.ring().pairs)
    desk.done("keys", "revoke", compromised, "--yes", "--reason", "laptop lost")
    assert receiver.messages == []

    desk.done("keys", "reconcile")

    found = [(one.type, one.data["key_id"], one.data["reason"]) for one in receiver.messages[:3]]
    assert found[:2] == [
        ("key_compromised", compromised, "laptop lost"),
        ("key_rotated", standby, "laptop lost (urgent: no publish delay)"),
    ]
    assert found[2][:2] == ("compromised_key_removed", compromised)


def test_a_region_that_is_unreachable_and_recovers_is_notified_once_each(
    rotating_desk: Desk, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`keys list` prints the last run too."""
    desk = rotating_desk
    notify(desk, receiver.url)
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_IVS", f"http://127.0.0.1:{unused_port()}")
        patch.setattr(operations, "COMMAND_TERMS", AwsTerms(max_attempts=1))
        assert desk.run("keys", "reconcile").exit_code == 1
        assert desk.run("keys", "reconcile").exit_code == 1
    listed = desk.run("keys", "list").stderr
    assert "ended with ivs_unavailable at 2027-01-15T08:02:00Z" in listed
    assert "Last success: 2027-01-15T08:01:00Z." in listed
    desk.done("keys", "reconcile")

    assert [(one.type, one.data["code"]) for one in receiver.messages] == [
        ("region_unreachable", "ivs_unavailable"),
        ("reconcile_recovered", "ivs_unavailable"),
    ]


def test_a_receiver_that_fails_is_a_finding_until_it_accepts(
    desk: Desk, receiver: WebhookReceiver
) -> None:
    """The run itself succeeds."""
    notify(desk, receiver.url)
    receiver.otherwise = 401
    failed = desk.run("keys", "reconcile")
    assert failed.exit_code == 0
    assert "401" in failed.stderr
    assert "notification_failed" in codes(desk)

    receiver.otherwise = 204
    desk.done("keys", "reconcile")
    assert "notification_failed" not in codes(desk)


def test_a_secret_that_others_can_read_is_reported_and_stops_no_run(
    desk: Desk, receiver: WebhookReceiver
) -> None:
    """Nothing is signed with it."""
    notify(desk, receiver.url)
    (desk.folder / "webhook").chmod(0o644)
    desk.done("keys", "reconcile")

    assert receiver.messages == []
    assert {"notification_failed", "file_access"} <= codes(desk)


def codes(desk: Desk) -> set[str]:
    """The codes of the findings of `keys doctor`."""
    return {finding["code"] for finding in json.loads(desk.run("keys", "doctor", "--json").stdout)}


def test_a_schedule_that_does_not_run_is_a_finding(rotating_desk: Desk) -> None:
    """Not for an operator's own runs, and not after the setting is 0."""
    rotating_desk.clock.advance(90_061)
    assert "reconcile_overdue" not in codes(rotating_desk)
    rotating_desk.done("keys", "reconcile", "--rotate-after", "30d")
    rotating_desk.clock.advance(90_001)
    assert "reconcile_overdue" in codes(rotating_desk)
    with rotating_desk.settings.open("a") as settings:
        settings.write("[rotation]\nreconcile_overdue_seconds = 0\n")
    assert "reconcile_overdue" not in codes(rotating_desk)


def test_the_receiver_can_be_tested(desk: Desk, receiver: WebhookReceiver) -> None:
    """Without a webhook, and where it does not accept, the command fails."""
    assert isinstance(desk.error("keys", "test-notification"), SettingsInvalid)
    notify(desk, receiver.url)
    assert receiver.messages == []
    printed = desk.done("keys", "test-notification")
    (message,) = receiver.messages
    assert (message.type, message.message_id in printed) == ("test", True)

    receiver.otherwise = 403
    assert isinstance(desk.error("keys", "test-notification"), NotificationFailed)


def test_the_receiver_in_the_documentation_accepts_each_event_once(
    real_time_desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A message with another signature is refused."""
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    names: dict[str, Any] = {"__name__": "receiver"}
    exec(compile(example, "docs/rotation.md", "exec"), names)  # noqa: S102 # The documented program.
    server = make_server("127.0.0.1", 0, names["app"])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        notify(real_time_desk, f"http://127.0.0.1:{server.server_port}/tokensvc")
        with capsys.disabled():
            real_time_desk.done("keys", "test-notification")
            (real_time_desk.folder / "webhook").write_text(SECRET.replace("AAEC", "BBEC"))
            with pytest.raises(NotificationFailed, match="401"):
                raise real_time_desk.error("keys", "test-notification")
    finally:
        server.shutdown()
        thread.join()
    assert len(names["seen"]) == 1


def test_the_documentation_lists_every_type() -> None:
    """Programs rely on these names."""
    page = PAGE.read_text()
    assert [one.value for one in NotificationType if f"`{one.value}`" not in page] == []
